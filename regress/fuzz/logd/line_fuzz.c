/* SPDX-License-Identifier: ISC */
/* Lines of a log: first as a file has them, then as a process sends them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logd/explain.h"
#include "logd/line.h"
#include "logd/qids.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
one(const char *p, size_t len)
{
	char out[512];
	struct qids q = { .n = 0 };
	struct line l;
	struct line_kv kv;
	size_t pos = 0, before;

	if (line_parse(p, len, &l) == -1)
		return;
	while (before = pos, line_kv_next(&l, &pos, &kv)) {
		if (pos <= before || line_value(&kv, out, sizeof(out)) >= sizeof(out))
			abort();
	}
	if (explain_line(&l, out, sizeof(out)) >= sizeof(out))
		abort();
	line_mentions(&l, "a@b");
	qids_collect(&q, &l);
	if (q.n > 0 && !qids_in_line(&q, &l))
		abort();
	qids_clear(&q);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char line[LINE_OCTETS_MAX], *text;
	size_t n;

	one((const char *)data, len);
	if ((text = malloc(len + 1)) == NULL)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	line_stamp(line, (int64_t)len * 123456789);
	memcpy(line + LINE_STAMP_LEN, " smtpd[1] ", 10);
	n = LINE_STAMP_LEN + 10;
	n += line_clean(line + n, sizeof(line) - n, text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			abort();
	one(line, n);
	free(text);
	return 0;
}
