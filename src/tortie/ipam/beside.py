"""Services where Kubernetes' API is not the datastore: who uses load balancers' addresses."""

from tortie.datastore import Datastore
from tortie.ipam.records import Records, note_users


async def with_services(records: Records, kubernetes: Datastore) -> Records:
    """The picture with those that Kubernetes' API has. Read last, as all who use addresses are."""
    users = {address: list(found) for address, found in records.users.items()}
    unread = list(records.unread)
    async for page in kubernetes.pages("Service"):
        note_users(page.resources, users)
        unread += page.malformed
    return records._replace(users=users, services=True, unread=tuple(unread))
