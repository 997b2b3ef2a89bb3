"""Takes what the submission service relays, and hands it to LMTP: that service speaks no LMTP itself.

Usage: relay.py PORT LMTP-PORT. Runs until it is told to stop.
"""

import asyncio
import smtplib
import sys

from aiosmtpd.smtp import SMTP


class Handler:
    def __init__(self, port):
        self.port = port

    def deliver(self, envelope):
        with smtplib.LMTP("127.0.0.1", self.port) as lmtp:
            return lmtp.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.original_content)

    async def handle_DATA(self, server, session, envelope):
        try:
            refused = await asyncio.get_running_loop().run_in_executor(None, self.deliver, envelope)
        except (smtplib.SMTPException, OSError) as error:
            return f"451 4.3.0 {type(error).__name__}"
        return "451 4.3.0 refused" if refused else "250 Delivered"


async def main(port, lmtp):
    loop = asyncio.get_running_loop()
    handler = Handler(lmtp)
    factory = lambda: SMTP(handler, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=0, loop=loop)
    server = await loop.create_server(factory, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
