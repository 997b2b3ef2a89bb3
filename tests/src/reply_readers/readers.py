"""What other packages take for the text that was written now.

Reads [{"file": …, "text": …, "html": … or null}] from the input; prints {reader: {file: {"found", "microseconds", "bytes"}}}.
Readers that know no HTML are given the text that was made of it.
"""

import json
import logging
import sys
import time
import tracemalloc

import email_reply_extractor
import mailparser_reply
import quotequail
from email_reply_parser import EmailReplyParser
from mailparser_reply.constants import MAIL_LANGUAGES
from talon import quotations, register_xpath_extensions


def of_email_reply_parser(text, _html):
    return EmailReplyParser.parse_reply(text)


LANGUAGES = mailparser_reply.EmailReplyParser(languages=sorted(MAIL_LANGUAGES))


def of_mail_parser_reply(text, _html):
    return LANGUAGES.parse_reply(text)


def of_quotequail(text, html):
    if html is None:
        parts = quotequail.quote(text)
    else:
        parts = [
            (shown, email_reply_extractor.html_to_text(part)) for shown, part in quotequail.quote_html(html)
        ]
    return "\n".join(part for shown, part in parts if shown)


def of_talon(text, html):
    if html is None:
        return quotations.extract_from_plain(text)
    return email_reply_extractor.html_to_text(quotations.extract_from_html(html))


def of_email_reply_extractor(text, html):
    found = email_reply_extractor.extract_new_text(None if html is not None else text, html_body=html)
    signature = email_reply_extractor.split_html_parts(html).signature_text if html is not None else None
    return email_reply_extractor.clean_for_scoring(found.text, signature).text


READERS = {
    "email-reply-parser": of_email_reply_parser,
    "mail-parser-reply": of_mail_parser_reply,
    "quotequail": of_quotequail,
    "talon": of_talon,
    "email-reply-extractor": of_email_reply_extractor,
}


def read(reader, sample):
    text, html = sample["text"] or "", sample["html"]
    try:
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            found = reader(text, html)
            times.append(time.perf_counter() - begun)
        tracemalloc.start()
        reader(text, html)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    except Exception as error:
        # A reader that fails has found nothing.
        print(f"{sample['file']}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
        return {"found": "", "microseconds": 0, "bytes": 0}
    return {"found": found or "", "microseconds": round(min(times) * 1e6), "bytes": peak}


logging.disable()
register_xpath_extensions()
samples = json.load(sys.stdin)
found = {name: {sample["file"]: read(reader, sample) for sample in samples} for name, reader in READERS.items()}
print(json.dumps(found))
