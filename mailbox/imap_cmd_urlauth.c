/* SPDX-License-Identifier: ISC */
/*
 * GENURLAUTH, RESETKEY and URLFETCH (RFC 4467). URLs about other users' mailboxes are
 * answered by their processes (url_asks.h); meanwhile the command waits.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/imap/imap_urlauth.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_url.h"
#include "mailbox/url_asks.h"
#include "mailbox/urlauth.h"

#define URLS_MAX 200
#define SLICE 65536

/* ---- GENURLAUTH ---- */

/* NULL, or what is wrong. */
static const char *
generate(struct imap *s, const struct imap_str *url, struct evbuffer *out)
{
	char token[URLAUTH_TOKEN_SIZE], *full;
	size_t len = url->len + strlen(":INTERNAL:") + sizeof(token);
	struct imap_urlauth u;
	struct imap_url part;
	struct folder *f;
	enum store_error e;

	if (imap_urlauth_parse(url->s, url->len, &u) == -1 || u.mechanism != NULL ||
	    len > IMAP_URLAUTH_MAX)
		return "That is no URL that can be authorised";
	if (imap_url_parse(u.part, u.part_len, &part) == -1 || !part.has_mailbox)
		return "The URL names no message";
	if (s->owner == NULL || !imap_urlauth_is(u.owner, s->owner, s->owner))
		return "The URL is about somebody else's mailbox";
	if (folder_open(s->store, part.mailbox, &f) != STORE_OK)
		return "The URL names no mailbox that exists";
	e = urlauth_token(s->store, f, url->s, url->len, token);
	folder_close(f);
	if (e != STORE_OK || (full = malloc(len)) == NULL)
		return "";
	memcpy(full, url->s, url->len);
	len = url->len;
	len += strlcpy(full + len, ":INTERNAL:", sizeof(":INTERNAL:"));
	memcpy(full + len, token, sizeof(token) - 1);
	evbuffer_add(out, " ", 1);
	imap_print_string(out, full, len + sizeof(token) - 1);
	free(full);
	return NULL;
}

void
imap_cmd_genurlauth(struct imap *s, struct imap_args *a)
{
	struct evbuffer *out = evbuffer_new();
	struct imap_str url, mechanism;
	const char *bad = NULL;
	int n = 0;

	while (out != NULL && bad == NULL && (n == 0 || imap_peek(a) != -1)) {
		if (++n > URLS_MAX) {
			imap_fail(a, "Too many URLs");
			break;
		}
		if (imap_sp(a) == -1 || imap_astring(a, &url) == -1 || imap_sp(a) == -1 ||
		    imap_atom(a, &mechanism) == -1)
			break;
		bad = imap_str_is(&mechanism, "INTERNAL")
			  ? generate(s, &url, out)
			  : "The only mechanism is INTERNAL";
	}
	if (out == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else if (a->error != NULL)
		; /* told by the engine */
	else if (bad != NULL && bad[0] == '\0')
		imap_no(s, "[SERVERBUG] The keys cannot be read or written");
	else if (bad != NULL)
		imap_bad(s, bad);
	else {
		evbuffer_add_printf(s->out, "* GENURLAUTH");
		evbuffer_add_buffer(s->out, out);
		evbuffer_add(s->out, "\r\n", 2);
		imap_ok(s, "GENURLAUTH completed");
	}
	if (out != NULL)
		evbuffer_free(out);
}

/* ---- RESETKEY ---- */

void
imap_cmd_resetkey(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	struct imap_str mechanism;
	const char *no = NULL;
	bool internal = true;
	struct folder *f;
	enum store_error e;

	if (imap_peek(a) == -1) {
		if ((e = urlauth_reset(s->store, NULL)) != STORE_OK)
			imap_no_store(s, e);
		else
			imap_ok(s, "All keys removed");
		return;
	}
	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1)
		return;
	for (int n = 0; imap_peek(a) != -1; n++) {
		if (imap_sp(a) == -1 || imap_atom(a, &mechanism) == -1)
			return;
		internal = (n > 0 && internal) || imap_str_is(&mechanism, "INTERNAL");
	}
	if (no != NULL)
		imap_no(s, "%s", no);
	else if (!internal)
		imap_no(s, "[CANNOT] The only mechanism is INTERNAL");
	else if ((e = folder_open(s->store, name, &f)) != STORE_OK)
		imap_no_store(s, e);
	else {
		e = urlauth_reset(s->store, f);
		if (e == STORE_OK)
			folder_urls_reset(f);
		/* The tagged reply says it to this one. */
		if (s->folder == f)
			s->url_resets = folder_url_resets(f);
		folder_close(f);
		if (e == STORE_OK)
			imap_ok(s, "[URLMECH INTERNAL] RESETKEY completed");
		else
			imap_no_store(s, e);
	}
}

/* ---- URLFETCH ---- */

struct fetch {
	struct imap_task task;
	struct imap *s;
	char **urls;
	size_t n, at;
	enum {
		NEXT,
		ASKED,    /* another mailbox's process */
		ANSWERED, /* fd and size are there */
		SENDING
	} state;
	struct urlauth_part part; /* of ours, */
	int fd;                   /* or another's; -1 */
	uint64_t id;
	uint64_t size, sent;
};

static void
fetch_free(struct imap_task *task)
{
	struct fetch *t = (struct fetch *)task;

	if (t->id != 0)
		url_ask_forget(t->id);
	if (t->fd != -1)
		close(t->fd);
	urlauth_part_clear(&t->part);
	for (size_t i = 0; i < t->n; i++)
		free(t->urls[i]);
	free(t->urls);
	free(t);
}

static void
on_url(int fd, uint64_t size, void *arg)
{
	struct fetch *t = arg;

	t->id = 0;
	t->fd = fd;
	t->size = size;
	t->state = ANSWERED;
	if (t->s->wake != NULL)
		t->s->wake(t->s->wake_arg);
}

static void
say(struct fetch *t, bool there)
{
	const char *url = t->urls[t->at];

	evbuffer_add_printf(t->s->out, "* URLFETCH ");
	imap_print_string(t->s->out, url, strlen(url));
	if (!there) {
		evbuffer_add_printf(t->s->out, " NIL\r\n");
		t->at++;
		t->state = NEXT;
		return;
	}
	evbuffer_add_printf(t->s->out, " {%llu}\r\n", (unsigned long long)t->size);
	t->sent = 0;
	t->state = SENDING;
}

static void
begin(struct fetch *t)
{
	const char *url = t->urls[t->at], *owner = t->s->owner != NULL ? t->s->owner : "";
	struct urlauth_asker who = { owner, false };
	struct imap_urlauth u;

	if (imap_urlauth_parse(url, strlen(url), &u) == 0 && u.mechanism != NULL &&
	    !imap_urlauth_is(u.owner, owner, owner)) {
		if ((t->id = url_ask(url, on_url, t)) == 0)
			say(t, false);
		else
			t->state = ASKED;
		return;
	}
	if (urlauth_open(t->s->store, owner, &who, url, strlen(url), false, time(NULL),
		&t->part) != URLAUTH_OK) {
		say(t, false);
		return;
	}
	t->size = t->part.octets.len;
	say(t, true);
}

/* A slice. What cannot be read any more is filled up: the literal has its length. */
static void
send_slice(struct fetch *t)
{
	uint64_t left = t->size - t->sent;
	size_t n = left < SLICE ? (size_t)left : SLICE;
	char buf[SLICE];
	ssize_t got;

	if (t->fd == -1)
		evbuffer_add(t->s->out, t->part.octets.data + t->sent, n);
	else if (n > 0) {
		got = pread(t->fd, buf, n, (off_t)t->sent);
		got = got < 0 ? 0 : got;
		memset(buf + got, ' ', n - (size_t)got);
		evbuffer_add(t->s->out, buf, n);
	}
	t->sent += n;
	if (t->sent < t->size)
		return;
	evbuffer_add(t->s->out, "\r\n", 2);
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
	urlauth_part_clear(&t->part);
	t->at++;
	t->state = NEXT;
}

static int
fetch_step(struct imap *s, struct imap_task *task, size_t unsent)
{
	struct fetch *t = (struct fetch *)task;

	while (evbuffer_get_length(s->out) + unsent < IMAP_HIGH_WATER) {
		switch (t->state) {
		case NEXT:
			if (t->at == t->n) {
				imap_ok(s, "URLFETCH completed");
				return 0;
			}
			begin(t);
			break;
		case ASKED:
			s->waiting = true;
			return 1;
		case ANSWERED:
			say(t, t->fd != -1 && t->size <= INT32_MAX);
			if (t->state == NEXT && t->fd != -1) {
				close(t->fd);
				t->fd = -1;
			}
			break;
		case SENDING:
			send_slice(t);
			break;
		}
	}
	return 1;
}

void
imap_cmd_urlfetch(struct imap *s, struct imap_args *a)
{
	struct fetch *t = calloc(1, sizeof(*t));
	struct imap_str url;

	if (t == NULL || (t->urls = calloc(URLS_MAX, sizeof(char *))) == NULL) {
		free(t);
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	t->task.step = fetch_step;
	t->task.free = fetch_free;
	t->s = s;
	t->fd = -1;
	while (t->n == 0 || imap_peek(a) != -1) {
		if (t->n == URLS_MAX)
			imap_fail(a, "Too many URLs");
		else if (imap_sp(a) == 0 && imap_astring(a, &url) == 0 &&
			 memchr(url.s, '\0', url.len) == NULL &&
			 (t->urls[t->n] = strndup(url.s, url.len)) != NULL) {
			t->n++;
			continue;
		}
		if (a->error == NULL)
			imap_no(s, "[UNAVAILABLE] Out of memory");
		fetch_free(&t->task);
		return;
	}
	imap_set_task(s, &t->task);
}
