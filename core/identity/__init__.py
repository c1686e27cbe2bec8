"""Who asks, and what they may do: users with roles, and API keys with scopes."""

from core.identity.accounts import Identity, User
from core.identity.actor import PERMISSIONS, ROLES, SYSTEM, Actor
from core.identity.keys import ApiKey, KeyRing

__all__ = ["PERMISSIONS", "ROLES", "SYSTEM", "Actor", "ApiKey", "Identity", "KeyRing", "User"]
