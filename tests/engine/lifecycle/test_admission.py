"""Which call is accepted in which status, and the exact texts that clients match on."""

import pytest

from engine.lifecycle.admission import (
    Admission,
    admit_delete,
    admit_deployment,
    admit_pause,
    admit_resume,
    admit_update,
)
from engine.model.errors import EngineError, ErrorCode
from engine.model.service import ServiceStatus as S

REFUSED = {
    admit_update: ({S.OPERATION_IN_PROGRESS, S.PAUSED, S.DELETE_FAILED, S.DELETED}, ErrorCode.INVALID_STATE),
    admit_deployment: (set(S) - {S.RUNNING}, ErrorCode.INVALID_REQUEST),
    admit_pause: (set(S) - {S.RUNNING, S.PAUSED}, ErrorCode.INVALID_STATE),
    admit_resume: (set(S) - {S.RUNNING, S.PAUSED}, ErrorCode.INVALID_STATE),
    admit_delete: ({S.OPERATION_IN_PROGRESS}, ErrorCode.INVALID_STATE),
}


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("admit", REFUSED)
def test_the_matrix(admit, status):
    refused, code = REFUSED[admit]
    if status not in refused:
        admit(status)
        return
    with pytest.raises(EngineError) as caught:
        admit(status)
    assert caught.value.code is code


def test_pausing_the_paused_and_resuming_the_running_do_nothing():
    assert admit_pause(S.PAUSED) is Admission.NOTHING_TO_DO
    assert admit_resume(S.RUNNING) is Admission.NOTHING_TO_DO


def test_the_words_that_clients_look_for():
    with pytest.raises(EngineError) as caught:
        admit_update(S.OPERATION_IN_PROGRESS)
    assert str(caught.value) == "Service cannot be updated in the current state: OPERATION_IN_PROGRESS."
    with pytest.raises(EngineError) as caught:
        admit_deployment(S.PAUSED)
    assert str(caught.value) == "Can't start a deployment on the specified service, because it isn't in RUNNING state."
