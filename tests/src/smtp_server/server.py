"""A submission server that behaves, except where a test says how it does not: aiosmtpd with faults.

It is a child of the test and talks to it in lines of JSON. It begins with the ports it has taken. A line on standard
input is answered by one on standard output:

    {"at": "RCPT", "do": "451 4.7.1 Try again", "times": 1, "if": "ann@"}    adds a fault; times 0: for ever
    {"clear": true}                                                          forgets all faults
    {"token": "..."}                                                         takes this access token from now on
    {"count": true}                                                          tells how often each step was reached

It ends with its standard input, so that it never outlives the test.
"""

import argparse
import asyncio
import base64
import collections
import dataclasses
import json
import logging
import os
import pathlib
import re
import socket
import ssl
import struct
import sys

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, LoginPassword

# RFC 4954 section 4: so long a line AUTH and the answer to a challenge may be. aiosmtpd stops at 512.
AUTH_LINE_LIMIT = 12288
# RFC 5321 section 4.5.3.1.6, and the dot that is added.
TEXT_LINE_LIMIT = 1001

GARBAGE = b"\x00\xff\x16\x03 no reply \xc3\x28\r\n"


@dataclasses.dataclass
class Fault:
    """What happens at a step, so many more times, to those it is for."""

    at: str
    do: str
    times: int
    only: str | None

    def is_for(self, step: str, subject: str | None) -> bool:
        return self.at == step and (self.only is None or (subject is not None and self.only in subject))


class State:
    """What all connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.folder = pathlib.Path(options.folder)
        self.password = options.password.encode()
        self.token = options.token
        self.extensions = options.extension
        self.faults: list[Fault] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self.stored = 0

    def take(self, step: str, subject: str | None) -> str | None:
        """What is to happen now. The fault that was added first goes first."""
        fault = next((fault for fault in self.faults if fault.is_for(step, subject)), None)
        if fault is None:
            return None
        if fault.times == 1:
            self.faults.remove(fault)
        elif fault.times > 1:
            fault.times -= 1
        return fault.do

    def obey(self, order: dict) -> dict:
        """Does what a line of standard input says, and returns the answer."""
        if "count" in order:
            return dict(self.counts)
        if "clear" in order:
            self.faults.clear()
        elif "token" in order:
            self.token = order["token"]
        else:
            self.faults.append(Fault(order["at"], order["do"], order["times"], order.get("if")))
        return {"ok": True}

    def authenticate(self, server, session, envelope, mechanism: str, sent: LoginPassword) -> AuthResult:
        """Any login name, and one password or token."""
        wanted = self.token.encode() if "OAUTH" in mechanism else self.password
        return AuthResult(success=sent.password == wanted, handled=False, auth_data=sent)

    def store(self, session, envelope) -> str:
        """Writes an accepted message down, whole or not at all, and returns its number."""
        self.stored += 1
        name = f"{self.stored:04}"
        message = {
            "login": login_of(session) or "",
            # aiosmtpd keeps the brackets of an empty one.
            "from": envelope.mail_from.removeprefix("<>"),
            "to": envelope.rcpt_tos,
            "mail_options": envelope.mail_options,
            "session": session.number,
            "content": base64.b64encode(envelope.original_content).decode(),
        }
        unfinished = self.folder / f"{name}.unfinished"
        unfinished.write_text(json.dumps(message))
        unfinished.rename(self.folder / f"{name}.json")
        return name

    # The names of the next two are aiosmtpd's.

    async def handle_EHLO(self, server, session, envelope, hostname: str, lines: list[str]) -> list[str]:
        session.host_name = hostname
        return lines[:-1] + [f"250-{extension}" for extension in self.extensions] + lines[-1:]

    async def handle_DATA(self, server, session, envelope) -> str | bytes:
        reply = await server.meet("DOT", login_of(session))
        if reply is None:
            name = self.store(session, envelope)
            reply = await server.meet("STORED", login_of(session))
        return f"250 2.0.0 Ok: queued as {name}" if reply is None else reply


def login_of(session) -> str | None:
    return session.auth_data.login.decode(errors="replace") if session.authenticated else None


def address_in(argument: str | None) -> str | None:
    """The address of `FROM:<a@b> SIZE=1`."""
    found = re.search("<([^>]*)>", argument or "")
    return found and found.group(1)


class Server(SMTP):
    """One connection."""

    # The reader takes lines of this size; text lines have their own limit, see below.
    line_length_limit = AUTH_LINE_LIMIT

    def __init__(self, state: State, **options) -> None:
        super().__init__(state, **options)
        self.state = state
        self.line_length_limit = TEXT_LINE_LIMIT
        # aiosmtpd shares this one between connections, each of which empties it.
        self.command_size_limits = collections.defaultdict(lambda: self.command_size_limit)
        self.command_size_limits["AUTH"] = AUTH_LINE_LIMIT
        self.session_number = 0

    def _create_session(self):
        session = super()._create_session()
        session.number = self.session_number
        return session

    async def meet(self, step: str, subject: str | None) -> str | bytes | None:
        """Counts a step, and returns the reply that a fault wants, if one is due. Some faults never return."""
        self.state.counts[step] += 1
        return await self.suffer(self.state.take(step, subject))

    async def suffer(self, what: str | None) -> str | bytes | None:
        match what:
            case "hang":
                self._timeout_handle.cancel()
            case "drop":
                self.transport.abort()
            case "reset":
                linger = struct.pack("ii", 1, 0)
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.transport.abort()
            case "garbage":
                return GARBAGE.removesuffix(b"\r\n")
            case reply:
                return reply and reply.replace("\n", "\r\n")
        # Until the end of the connection cancels this.
        return await asyncio.get_running_loop().create_future()

    async def met(self, step: str, subject: str | None) -> bool:
        """Whether a fault has answered the command in our place."""
        reply = await self.meet(step, subject)
        if reply is not None:
            await self.push(reply)
        return reply is not None

    async def push(self, status) -> None:
        await super().push(status)
        # RFC 5321 section 3.8: the server closes after it.
        if status[:3] in ("421", b"421") and self.transport is not None:
            self.transport.close()
        # The content comes now: its first bytes are read, and then something happens.
        if status[:3] == "354" and (fault := self.state.take("BODY", login_of(self.session))) is not None:
            await self._reader.read(1)
            await super().push(await self.suffer(fault))
            await self.suffer("hang")

    async def _handle_client(self) -> None:
        self.session_number = self.session.number = self.state.counts["GREETING"] + 1
        if await self.met("GREETING", None):
            # RFC 5321 section 3.1: it waits for the client to say goodbye.
            await self._reader.readline()
            await self.push("221 Bye")
            self.transport.close()
        else:
            await super()._handle_client()

    # The names of the rest are aiosmtpd's.

    async def smtp_EHLO(self, hostname) -> None:
        reply = await self.meet("EHLO", None)
        if reply is None:
            await super().smtp_EHLO(hostname)
            return
        if reply[:3] == "250":
            # Not a refusal, but another list of extensions.
            self._set_rset_state()
            self.session.extended_smtp, self.session.host_name = True, hostname
        await self.push(reply)

    async def smtp_STARTTLS(self, arg) -> None:
        if not await self.met("STARTTLS", None):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg) -> None:
        # A fault for one login waits until the login is known.
        if not await self.met("AUTH", None):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg) -> None:
        if not await self.met("MAIL", address_in(arg)):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg) -> None:
        if not await self.met("RCPT", address_in(arg)):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg) -> None:
        if not await self.met("DATA", login_of(self.session)):
            await super().smtp_DATA(arg)

    async def smtp_RSET(self, arg) -> None:
        if not await self.met("RSET", login_of(self.session)):
            await super().smtp_RSET(arg)

    async def smtp_QUIT(self, arg) -> None:
        if not await self.met("QUIT", login_of(self.session)):
            await super().smtp_QUIT(arg)

    async def auth_PLAIN(self, _, args) -> AuthResult:
        return await self.judge(await super().auth_PLAIN(_, args))

    async def auth_LOGIN(self, _, args) -> AuthResult:
        return await self.judge(await super().auth_LOGIN(_, args))

    async def auth_XOAUTH2(self, _, args) -> AuthResult:
        error = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}
        return await self.bearer("XOAUTH2", args, rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", error)

    async def auth_OAUTHBEARER(self, _, args) -> AuthResult:
        # RFC 7628 section 3.1.
        pattern = rb"n,a=([^,]*),\x01(?:[^\x01]*\x01)*?auth=Bearer ([^\x01]*)\x01(?:[^\x01]*\x01)*\x01"
        error = {"status": "invalid_token", "schemes": "bearer", "scope": "https://mail.google.com/"}
        return await self.bearer("OAUTHBEARER", args, pattern, error)

    async def bearer(self, mechanism: str, args: list[str], pattern: bytes, error: dict) -> AuthResult:
        """A refusal comes as a challenge that tells why, and as a reply only after the client has answered that."""
        if len(args) == 1:
            sent = await self.challenge_auth("")
            if sent is MISSING:
                return AuthResult(success=False)
        else:
            try:
                sent = base64.b64decode(args[1], validate=True)
            except ValueError:
                return AuthResult(success=False, handled=False, message="501 5.5.2 Cannot decode base64")
        parts = re.fullmatch(pattern, sent)
        if parts is None:
            return AuthResult(success=False, handled=False, message="501 5.5.2 Cannot read the credentials")
        login = parts.group(1).replace(b"=2C", b",").replace(b"=3D", b"=")
        result = await self.judge(self._authenticate(mechanism, LoginPassword(login, parts.group(2))))
        if not result.success and not result.handled:
            if await self.challenge_auth(json.dumps(error)) is MISSING:
                return AuthResult(success=False)
            result.message = "535-5.7.8 Username and Password not accepted. For more information, go to\r\n" \
                "535 5.7.8  https://support.google.com/mail/?p=BadCredentials"
        return result

    async def judge(self, result: AuthResult) -> AuthResult:
        """Lets a fault decide that is for this login."""
        if result.auth_data is not None:
            reply = await self.suffer(self.state.take("AUTH", result.auth_data.login.decode(errors="replace")))
            if reply is not None:
                await self.push(reply)
                return AuthResult(success=False)
        return result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True, help="where accepted messages are written")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--mechanisms", required=True, help="with commas")
    parser.add_argument("--size", type=int, default=33554432)
    parser.add_argument("--no-smtputf8", action="store_true")
    parser.add_argument("--extension", action="append", default=[], help="what EHLO names beside aiosmtpd's own")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    state = State(options)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(options.certificate, options.key)
    all_mechanisms = {name.removeprefix("auth_") for name in dir(Server) if name.startswith("auth_")}
    common = {
        "data_size_limit": options.size,
        "enable_SMTPUTF8": not options.no_smtputf8,
        "hostname": "localhost",
        "auth_required": True,
        "auth_exclude_mechanism": all_mechanisms - set(options.mechanisms.split(",")),
        "authenticator": state.authenticate,
    }
    loop = asyncio.get_running_loop()
    submission = await loop.create_server(
        lambda: Server(state, tls_context=tls, require_starttls=True, loop=loop, **common), options.address, 0
    )
    # aiosmtpd knows only of the TLS that it has started itself.
    submissions = await loop.create_server(
        lambda: Server(state, auth_require_tls=False, loop=loop, **common), options.address, 0, ssl=tls
    )
    # For mail servers that pass messages on: neither TLS nor a login.
    relay = await loop.create_server(
        lambda: Server(state, loop=loop, **common | {"auth_required": False}), options.address, 0
    )
    listeners = {"submission": submission, "submissions": submissions, "relay": relay}
    print(json.dumps({name: listener.sockets[0].getsockname()[1] for name, listener in listeners.items()}), flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        print(json.dumps(state.obey(json.loads(line))), flush=True)
    # Nobody is left to whom a goodbye could matter.
    os._exit(0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(arguments()))
