/* SPDX-License-Identifier: ISC */
/*
 * A server that says anything, to an engine with two messages. Each recipient gets
 * one result at most, and exactly one where the engine says that it is done.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "deliverd/remote/smtp_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N 4

struct world {
	struct smtp_out *o;
	struct smtp_out_message m;
	int results[N];
	int messages;
	int over;
	int big; /* chunks before the last one */
};

static char big[SMTP_OUT_CHUNK];

static void
drain(struct world *w)
{
	struct smtp_out_action a;

	for (int i = 0;; i++) {
		if (i > 100)
			abort();
		smtp_out_next(w->o, &a);
		switch (a.kind) {
		case SMTP_OUT_NONE:
			return;
		case SMTP_OUT_STARTTLS:
			smtp_out_tls_ready(w->o);
			break;
		case SMTP_OUT_LOGIN:
			smtp_out_auth(w->o, "LOGIN", NULL);
			break;
		case SMTP_OUT_CHALLENGE:
			smtp_out_auth_answer(w->o, a.reply[0] == 'x' ? NULL : "eA==");
			break;
		case SMTP_OUT_LOGGED_IN:
			smtp_out_auth_done(w->o);
			break;
		case SMTP_OUT_CONTENT:
			for (int k = 0; k < w->big; k++)
				if (smtp_out_content(w->o, big, sizeof(big)) == -1)
					abort();
			if (smtp_out_content(w->o, ".\r\n.\n", 5) == -1 ||
			    smtp_out_content_end(w->o) == -1)
				abort();
			break;
		case SMTP_OUT_RESULT:
			if (a.index >= N || ++w->results[a.index] > 1 ||
			    a.enhanced[0] == '\0')
				abort();
			break;
		case SMTP_OUT_DONE:
			for (int k = 0; k < N; k++)
				if (w->results[k] != 1)
					abort();
			if (w->messages++ == 0) {
				memset(w->results, 0, sizeof(w->results));
				(void)smtp_out_message(w->o, &w->m);
			}
			break;
		case SMTP_OUT_TROUBLE:
		case SMTP_OUT_CLOSE:
			w->over = 1;
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_out_rcpt rcpts[N] = { { 1, 0, "a@x.test", 1, "rfc822;a" },
		{ 2, 1, "\xc3\xbc@x.test", 0, "" }, { 3, 2, "b@\xc3\xbc.test", 8, "" },
		{ 4, 3, "\"q q\"@x.test", 6, "" } };
	struct smtp_out_conf conf = { .helo = "me.test" };
	struct world w = { 0 };
	size_t chunk;

	if (size < 1)
		return 0;
	conf.lmtp = data[0] & 1;
	conf.login = (data[0] & 0x40) != 0;
	conf.tls = (enum smtp_out_tls)((data[0] >> 1 & 3) % 3);
	conf.verified = size % 2;
	conf.chunking = (data[0] & 0x20) != 0;
	w.big = conf.chunking && data[0] & 0x80 ? 1 + data[0] / 16 % 2 : 0;
	rcpts[3].rrvs = 1396566060;
	rcpts[3].rrvs_action = size % 7 == 0 ? 'R' : 'C';
	chunk = data[0] & 8 ? 1 : 1 + data[0] / 16;
	w.m = (struct smtp_out_message){ .sender = "s@y.test",
		.size = 10,
		.body = BODY_8BITMIME,
		.smtputf8 = true,
		.envid = "e",
		.ret = 1,
		.require_tls = size % 5 == 1,
		.priority = -3,
		.by = size % 3 * 2000000000,
		.by_mode = size % 4 == 0   ? 'R'
			   : size % 4 == 1 ? 'N'
					   : 0,
		.rcpts = rcpts,
		.n_rcpts = N };
	w.o = smtp_out_new(&conf);
	if (w.o == NULL || smtp_out_message(w.o, &w.m) == -1)
		abort();
	for (size_t at = 1; at < size && !w.over;) {
		size_t n = size - at < chunk ? size - at : chunk;
		size_t used = smtp_out_input(w.o, data + at, n);

		drain(&w);
		evbuffer_drain(
		    smtp_out_output(w.o), evbuffer_get_length(smtp_out_output(w.o)));
		/* What is behind STARTTLS is thrown away. */
		at += used == 0 ? n : used;
	}
	smtp_out_lost(w.o, "end");
	drain(&w);
	smtp_out_free(w.o);
	return 0;
}
