/* SPDX-License-Identifier: ISC */
/* A stranger's message to a list: header, decision, command, bounce. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "listd/content.h"
#include "listd/decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char list[] = "talk@example.org", prefix[] = "Received: x\r\n";
	struct verdict_of_list v;
	struct post_facts facts;
	struct listconf conf;
	struct text t = { 0 };
	char out[512], *buf;
	uint8_t how;

	if (size == 0 || size > 65536)
		return 0;
	how = data[0];
	size--;
	if ((buf = malloc(size + 1)) == NULL)
		return 0;
	memcpy(buf, data + 1, size);
	listconf_init(&conf);
	if (how & 1)
		(void)listconf_set(&conf, "subject-tag=[\xc3\xb6]");
	conf.rewrite = (how >> 1) % 3;
	conf.reply = how >> 3 & 1;
	conf.post = how >> 4 & 3;
	post_read(buf, size, list, &conf, &facts);
	if (facts.header_len > size)
		abort();
	decide(&conf, how >> 6, &facts, "a@b.test", 0, size, &v);
	post_header(&t, prefix, sizeof(prefix) - 1, buf, &facts, list, &conf);
	/* It ends just once, and what it says of the list is the list's. */
	if (!t.bad && (t.len < 4 || memcmp(t.p + t.len - 4, "\r\n\r\n", 4) != 0))
		abort();
	free(t.p);
	(void)content_bounce(buf, size, out, sizeof(out));
	(void)content_command(buf, size, facts.subject, out, sizeof(out));
	if (content_words(buf, size, out, sizeof(out)) >= sizeof(out))
		abort();
	free(buf);
	return 0;
}
