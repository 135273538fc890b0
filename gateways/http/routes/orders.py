"""Orders: checked before they are sent, and submitted, which checks, reserves and appends in one step."""

from __future__ import annotations

from litestar import post

from gateways.http import orders
from gateways.http.access import Scope
from gateways.http.orders import CheckedOrder, OrderAnswer, SubmittedOrder
from gateways.http.routes.asked import AccountPath
from gateways.http.routes.documented import responses
from gateways.http.routes.parameters import Calling, JSONBody, Serving


@post(
    "/v1/orders/{account:str}/check",
    opt={"scope": Scope.TRADE},
    status_code=200,
    responses=responses(),
    tags=["orders"],
)
async def check_order(service: Serving, account: AccountPath, data: JSONBody[CheckedOrder]) -> OrderAnswer:
    """Check an order, a replacement or a cancel against every rule, as of now, without recording anything.

    Another order may take the same headroom before this one is sent: `submit` lets nobody in between.
    """
    return await orders.check_order(service, account, data)


@post(
    "/v1/orders/{account:str}/submit",
    opt={"scope": Scope.TRADE},
    status_code=200,
    responses=responses(409, 423, 507),
    tags=["orders"],
)
async def submit_order(
    service: Serving, caller: Calling, account: AccountPath, data: JSONBody[SubmittedOrder]
) -> OrderAnswer:
    """Check an order, or a replacement, and append it if it passes; nobody can use the same headroom in between.

    Send the order only if `passed` is true. One that a rule rejects is answered with 200 as well, with verdict REJECT
    and the record of the rejection (RiskChecked). One that a lockout forbids is answered with 423: that problem's
    `answer` is this answer, and `lockouts` says which, until when and why. The caller is the actor of what is recorded.
    """
    return await orders.submit_order(service, caller, account, data)


ROUTES = (check_order, submit_order)
