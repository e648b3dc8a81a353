/* SPDX-License-Identifier: ISC */
/* The lexer must find the same commands however the input is cut; tokens stay inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/imap/imap_lex.h"
#include "common/imap/imap_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
tokens(char *buf, size_t len)
{
	struct imap_args a;
	struct imap_str v;
	uint32_t n;

	imap_args_init(&a, buf, len);
	if (imap_tag(&a, &v) == -1)
		return;
	while (imap_peek(&a) != -1 && a.error == NULL) {
		if (imap_sp(&a) == -1)
			return;
		if (imap_peek(&a) == '(')
			imap_char(&a, '(');
		else if (imap_peek(&a) == '\\')
			imap_flag(&a, &v);
		else if (imap_peek(&a) >= '0' && imap_peek(&a) <= '9')
			imap_number(&a, &n);
		else if (imap_list_mailbox(&a, &v) == 0 &&
			 (v.s < buf || v.s + v.len > buf + len))
			abort();
	}
}

/* A sum over the events; steps of 0 are one piece. */
static uint32_t
run(const uint8_t *data, size_t size, size_t step)
{
	struct imap_lex l;
	uint32_t sum = 0;
	size_t at = 0;

	imap_lex_init(&l, 100, 60, 200);
	while (at < size) {
		size_t end = step == 0 || size - at < step ? size : at + step, used;
		enum imap_lex_event ev = imap_lex_next(&l, data + at, end - at, &used);

		if (used > end - at)
			abort();
		at += used;
		if (ev == IMAP_LEX_MORE) {
			if (at != end)
				abort();
			continue;
		}
		if (ev != IMAP_LEX_DATA)
			sum = sum * 31 + ev;
		if (ev == IMAP_LEX_LITERAL) {
			if (l.len > 0 && l.buf[0] == 's')
				imap_lex_stream(&l);
			else if (imap_lex_accept(&l) == -1 &&
				 imap_lex_refuse(&l, "x") == -1)
				break;
		} else if (ev == IMAP_LEX_DATA) {
			for (size_t i = 0; i < l.data_len; i++)
				sum = sum * 31 + l.data[i];
		} else if (ev == IMAP_LEX_COMMAND) {
			for (size_t i = 0; i < l.len; i++)
				sum = sum * 31 + (uint8_t)l.buf[i];
			tokens(l.buf, l.len);
			imap_lex_reset(&l);
		} else if (ev == IMAP_LEX_BAD) {
			char tag[300];

			imap_lex_tag(&l, tag, sizeof(tag));
			for (size_t i = 0; tag[i] != '\0'; i++)
				sum = sum * 31 + (uint8_t)tag[i];
			imap_lex_reset(&l);
		} else
			break;
	}
	imap_lex_clear(&l);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t whole = run(data, size, 0);

	if (run(data, size, 1) != whole || run(data, size, 7) != whole)
		abort();
	return 0;
}
