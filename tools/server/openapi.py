# The OpenAPI description of the HTTP interfaces, made of their routes
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Iterable

from .api import Route

VERSION = "3.1.0"
NUMBER = {"type": "integer", "minimum": 0, "maximum": 65534}
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
# Parameters of paths, which mean the same everywhere.
PATH_PARAMETERS = {
    "endpoint": ("name of the endpoint", {"type": "string", "minLength": 1}),
    "object": ("object id", NUMBER),
    "instance": ("object instance id", NUMBER),
    "resource": ("resource id", NUMBER),
    "resourceInstance": ("resource instance id", NUMBER),
    "file": (
        "name of a file",
        {"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,100}$"},
    ),
    "number": ("number of a queued command", {"type": "integer", "minimum": 1}),
    "operation": ("name of an operation", {"type": "string"}),
}
_PLACEHOLDER = re.compile(r"{(\w+)(?::[^{}]*)?}")
_REASONS = {
    400: "What is wrong with the request",
    401: "The token is missing or wrong",
    404: "There is no such thing",
    409: "It is not possible now, or the device refused it",
    413: "The body is too large",
    415: "The body is of another type",
    503: "The device's queue is full",
    504: "The device did not answer",
}


def describe(routes: Iterable[Route], title: str, version: str) -> dict:
    """The whole description."""
    paths: dict[str, dict] = {}
    for route in routes:
        path = _PLACEHOLDER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": ERROR},
        },
    }


def _operation(route: Route) -> dict:
    parameters = [_path_parameter(name) for name in _PLACEHOLDER.findall(route.path)]
    for each in route.query:
        entry = {"name": each.name, "in": "query", "description": each.text, "schema": each.schema}
        parameters.append({**entry, "required": each.required})
    operation = {"summary": route.summary, "tags": [route.tag], "responses": _responses(route)}
    operation["operationId"] = _identifier(route)
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        schema = route.body.schema if route.body.schema is not None else {"type": "string"}
        operation["requestBody"] = {
            "description": route.body.text,
            "required": route.body.required,
            "content": {route.body.media: {"schema": schema}},
        }
    return operation


def _path_parameter(name: str) -> dict:
    text, schema = PATH_PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _responses(route: Route) -> dict:
    if route.result is None:
        found = {"204": {"description": "Done"}}
    else:
        content = {route.media: {"schema": route.result}}
        found = {"200": {"description": route.summary, "content": content}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status in sorted({*route.errors, 401}):
        found[str(status)] = {"description": _REASONS[status], "content": error}
    return found


def _identifier(route: Route) -> str:
    words = re.findall(r"\w+", _PLACEHOLDER.sub(r"by_\1", route.path))
    return "_".join([route.method.lower(), *words])
