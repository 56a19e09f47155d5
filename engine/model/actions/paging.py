"""What lists are cut by: page sizes up to an action's maximum, and tokens that say where the next page begins."""

from typing import Annotated

from engine.model.service import Limit

NextToken = Annotated[str, Limit(min_length=1, max_length=1024)]
Upto5 = Annotated[int, Limit(ge=1, le=5)]
Upto20 = Annotated[int, Limit(ge=1, le=20)]
Upto100 = Annotated[int, Limit(ge=1, le=100)]
