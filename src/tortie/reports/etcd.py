"""Reports in etcd: under a folder that nobody watches, with a lease that outlives silence.

A report stays for a day after its last word, so that `tortie status` can say since when a node is
silent; then it goes by itself.
"""

from urllib.parse import quote

from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.connection import Connection
from tortie.datastore.etcd.layout import Span
from tortie.datastore.etcd.leases import grant, keep_alive, new_number
from tortie.datastore.etcd.members import RANGE, TXN
from tortie.datastore.etcd.requests import page
from tortie.reports.report import Report, decode, encode

FOLDER = "/calico/tortie/v1/reports/"
_PAGE = 1000


class EtcdShelf:
    """`forgotten`: seconds after which a report goes."""

    def __init__(self, connection: Connection, forgotten: int) -> None:
        self._connection = connection
        self._forgotten = forgotten
        self._lease = 0

    async def put(self, report: Report) -> None:
        """See `Shelf.put`."""
        if not self._lease or not await keep_alive(self._connection, self._lease, self._forgotten):
            self._lease = await self._granted()
        path = f"{FOLDER}{quote(report.node, safe='')}/{quote(report.component, safe='')}".encode()
        put = pb.PutRequest(key=path, value=encode(report), lease=self._lease)
        request = pb.TxnRequest(success=[pb.RequestOp(request_put=put)])
        await self._connection.ask(TXN, request, "report how this node is")

    async def all(self) -> list[Report]:
        """See `Shelf.all`."""
        span = Span(FOLDER.encode(), FOLDER.encode()[:-1] + b"0")
        found: list[Report] = []
        start = span.start
        while True:
            asked = page(span, start, _PAGE, 0)
            answer: pb.RangeResponse
            answer, _ = await self._connection.ask(RANGE, asked, "list reports")
            found += [report for kv in answer.kvs if (report := decode(kv.value))]
            if not answer.more:
                return found
            start = answer.kvs[-1].key + b"\0"

    async def _granted(self) -> int:
        number = new_number()
        await grant(self._connection, number, self._forgotten)
        return number
