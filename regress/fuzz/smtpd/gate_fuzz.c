/* SPDX-License-Identifier: ISC */
/*
 * The gate: what a client calls itself and what the DNS says of it. First octet: of
 * what sort its name in the DNS is; then the name it says up to a NUL, then records as
 * dnsd hands them out.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/dnsbl.h"
#include "smtpd/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *s, size_t cap)
{
	if (memchr(s, '\0', cap) == NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t ip[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	struct msg_conf_dnslist list = { .zone = "bl.test", .weight = 3 };
	struct msg_conf_gate c = { .refuse_score = 5, .junk_score = 2 };
	struct gate_facts f = { .hostname = "mx.example.test",
		.client = "192.0.2.1",
		.ip = ip,
		.ip_len = 16 };
	struct gate_decision d;
	struct gate_hit hit = { .list = &list };
	char helo[513], text[60], name[256];
	const uint8_t *nul;
	size_t len;

	if (size < 2 || (nul = memchr(data + 1, '\0', size - 1)) == NULL ||
	    (len = (size_t)(nul - data - 1)) >= sizeof(helo))
		return 0;
	memcpy(helo, data + 1, len + 1);
	f.reverse = (enum gate_reverse)(data[0] % 4);
	data += len + 2;
	size -= len + 2;
	f.helo = helo;
	c.own_name = c.wrong_literal = c.no_name = 1;
	c.no_reverse = c.unconfirmed_reverse = 1;
	dnsbl_text(data, size, text, sizeof(text));
	for (const char *p = text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			abort();
	hit.text = text;
	f.hits = &hit;
	f.n_hits = (size_t)(dnsbl_is_listed("", data, size) |
			    dnsbl_is_listed("127.0.0.2 127.0.0.4/30", data, size));
	gate_decide(&c, &f, &d);
	check_text(d.why, sizeof(d.why));
	check_text(d.reply, sizeof(d.reply));
	if ((d.verdict == GATE_REFUSE) != (d.reply[0] != '\0') || d.score < 0)
		abort();
	/* A zone of any sort gives a name or none. */
	if (dnsbl_name(ip, 16, helo, name, sizeof(name)) > 253)
		abort();
	(void)gate_is_open_for(helo);
	return 0;
}
