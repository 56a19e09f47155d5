"""The sentences of the event and deployment logs, in App Runner's own words where it has them."""

from engine.model.instance import Exit
from engine.model.operation import OperationType
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol, ServiceStatus
from engine.source.registry.reference import ImageReference

PREFIX = "[AppRunner] "

_NOUN = {
    OperationType.CREATE_SERVICE: "Service creation",
    OperationType.UPDATE_SERVICE: "Service update",
    OperationType.START_DEPLOYMENT: "Deployment",
    OperationType.PAUSE_SERVICE: "Service pause",
    OperationType.RESUME_SERVICE: "Service resume",
    OperationType.DELETE_SERVICE: "Service deletion",
}
_TRIGGER = {
    OperationType.CREATE_SERVICE: "SERVICE_CREATE",
    OperationType.UPDATE_SERVICE: "SERVICE_UPDATE",
    OperationType.START_DEPLOYMENT: "SERVICE_DEPLOY",
}


def operation_started(kind: OperationType) -> str:
    return f"{_NOUN[kind]} started."


def operation_succeeded(kind: OperationType, *, new_build: bool) -> str:
    if kind is OperationType.UPDATE_SERVICE:
        what = "New application and configuration is deployed." if new_build else "New configuration is deployed."
        return f"Service update completed successfully. {what}"
    return f"{_NOUN[kind]} completed successfully."


def operation_failed(kind: OperationType) -> str:
    if kind in _TRIGGER:
        return f"{_NOUN[kind]} failed. For details, see service logs."
    return f"{_NOUN[kind]} failed."


def rollback_started() -> str:
    return "Rolling back to the version that serves."


def rollback_ended(kind: OperationType, *, succeeded: bool) -> str:
    if succeeded:
        return f"{_NOUN[kind]} was rolled back. The previous version and its configuration are in force."
    return f"{_NOUN[kind]} could not be rolled back."


def status_set(status: ServiceStatus) -> str:
    return f"Service status is set to {status}."


def deployment_started(deployment_id: str, kind: OperationType) -> str:
    return f"Deployment with ID : {deployment_id} started. Triggering event : {_TRIGGER[kind]}"


def deployment_failed(deployment_id: str, reason: str) -> str:
    return f"Deployment with ID : {deployment_id} failed. Failure reason : {reason}"


def deployment_artifact(url: str, branch: str, directory: str) -> str:
    return (
        f"Deployment Artifact: [Repo Type: Source], [Repository: {url}], [Branch: {branch}],"
        f" [SourceDirectory: {directory}]"
    )


def image_artifact(reference: ImageReference) -> str:
    # Which further fields App Runner has here is not known.
    return f"Deployment Artifact: [Repo Type: {_repository_type(reference)}], [Image: {reference.display}]"


def pulling_image(reference: ImageReference) -> str:
    return f"Pulling image {reference.display} from {_repository_type(reference)} repository."


def new_image(reference: ImageReference, digest: str) -> str:
    return f"A new image was pushed to {reference.display} ({digest.removeprefix('sha256:')[:12]}). Deploying it."


def watch_failed(reference: ImageReference, reason: str) -> str:
    return f"Could not look whether {reference.display} has a new image: {reason} It is tried again."


def watch_recovered(reference: ImageReference) -> str:
    return f"{reference.display} can be looked up again."


def _repository_type(reference: ImageReference) -> str:
    if reference.is_ecr:
        return "ECR"
    return "ECR Public" if reference.is_ecr_public else reference.registry


def pulling(url: str) -> str:
    return f"Pulling source code from Repository ( {url} )."


def health_check(config: HealthCheckConfiguration, port: int) -> str:
    return f"Performing health check on {_check(config, port)}."


def health_check_failed(config: HealthCheckConfiguration, port: int) -> str:
    return (
        f"Health check failed on {_check(config, port)}. Check your configured port number."
        " For more information, see the application logs."
    )


def application_stopped(exit_: Exit) -> str:
    text = "Your application stopped or failed to start. See logs for more information."
    if exit_.code is None and exit_.signal is None:
        return text
    code = exit_.code if exit_.code is not None else 128 + (exit_.signal or 0)
    return f"{text}  Container exit code: {code}"


def _check(config: HealthCheckConfiguration, port: int) -> str:
    if config.protocol is HealthCheckProtocol.HTTP:
        return f"protocol `HTTP` [Path: '{config.path}'], [Port: '{port}']"
    return f"protocol `TCP` [Port: '{port}']"


IMAGE_PULLED = "Successfully pulled your application image."
SOURCE_PULLED = "Successfully pulled your application source code."
CONFIG_VALID = "Successfully Validate configuration file."
BUILD_STARTED = "Starting source code build."
BUILD_SUCCEEDED = "Successfully built your application source code."
PROVISIONING = "Provisioning instances and deploying image for publicly accessible service."
HEALTHY = "Health check is successful. Routing traffic to application."
ROUTED = "Successfully routed incoming traffic to application."
