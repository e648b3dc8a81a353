/* SPDX-License-Identifier: ISC */
/* Scripts: what compiles also runs on a small message, within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/sieve/sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
script(enum sieve_location where, const char *name, char **text, size_t *len, void *arg)
{
	if (strcmp(name, "one") != 0)
		return 1;
	*text = strdup(
	    "require [\"include\", \"variables\"]; global \"a\"; set \"a\" \"x\";");
	*len = *text != NULL ? strlen(*text) : 0;
	return *text != NULL ? 0 : -1;
}

static const char message[] =
    "From: a <a@b.c>\r\nTo: user+x@example.org, <b@c.d>\r\n"
    "Subject: =?utf-8?q?f=C3=BCr?= you\r\nDate: Tue, 1 Apr 1997 "
    "09:06:31 -0800\r\nMessage-ID: <1@x>\r\nContent-Type: "
    "multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\ntext\r\n--o\r\n"
    "Content-Type: text/html\r\n\r\n<p>x&amp;y</p>\r\n--o--\r\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sieve_compile env = { .script = script, .upload = size % 2 };
	static struct sieve_errors errors;
	static struct sieve_result result;
	struct sieve_input in = { .head = "X-Head: 1\r\n",
		.head_len = 11,
		.data = message,
		.len = sizeof(message) - 1,
		.envelope_from = "a@b.c",
		.envelope_to = "user+x@example.org",
		.owner = "user@example.org",
		.hostname = "mx.example.org",
		.separator = '+',
		.now = 1700000000,
		.spam = 0.5,
		.steps_max = 20000 };
	struct sieve_program *p =
	    sieve_compile("fuzz", (const char *)data, size, &env, &errors);

	if ((p == NULL) != (errors.n > 0))
		abort();
	if (p == NULL)
		return 0;
	sieve_run(p, &in, &result);
	if (result.status == SIEVE_FAILED &&
	    (result.n != 1 || result.v[0].kind != SIEVE_KEEP))
		abort();
	sieve_result_clear(&result);
	sieve_free(p);
	return 0;
}
