/* SPDX-License-Identifier: ISC */
/* A command line: what is accepted must be printable and within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/smtp_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_command c;
	char buf[ADDRESS_MAX + 1];
	enum smtp_reply r;

	if (size < 1 || size > 4096)
		return 0;
	r = smtp_parse((const char *)data + 1, size - 1, data[0] & 1, &c);
	if (r == SMTP_REPLY_NONE) {
		if ((c.verb == SMTP_MAIL || c.verb == SMTP_RCPT) &&
		    address_format(&c.path, buf, sizeof(buf)) == -1)
			abort();
		if (c.verb == SMTP_EHLO &&
		    (c.word[0] == '\0' || strpbrk(c.word, " <>\r\n") != NULL))
			abort();
		if (c.initial != NULL && c.initial_len > size)
			abort();
	} else if (smtp_reply_code(r) < 400)
		abort();
	return 0;
}
