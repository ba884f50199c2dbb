"""ServiceAccount tokens with any lifetime; the API itself gives none that lives less than ten minutes."""

import time
from typing import Any

import jwt
from kubernetes import client

from tests.cluster.cluster import Cluster, api_client
from tests.cluster.layout import SERVICE_ACCOUNT_ISSUER


def minted_token(cluster: Cluster, namespace: str, service_account: str, *, lifetime_s: float) -> str:
    """A token as the API server would sign it; a negative lifetime has expired already."""
    with api_client(cluster) as api:
        account: Any = client.CoreV1Api(api).read_namespaced_service_account(service_account, namespace)
    now_s = time.time()
    claims = {
        "iss": SERVICE_ACCOUNT_ISSUER,
        "aud": [SERVICE_ACCOUNT_ISSUER],
        "sub": f"system:serviceaccount:{namespace}:{service_account}",
        "iat": int(now_s - max(0.0, -lifetime_s) - 1),
        "nbf": int(now_s - max(0.0, -lifetime_s) - 1),
        "exp": int(now_s + lifetime_s),
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": service_account, "uid": account.metadata.uid},
        },
    }
    return jwt.encode(claims, cluster.service_account_key.read_bytes(), algorithm="RS256")
