/* SPDX-License-Identifier: ISC */
/* The POP3 machine in its TRANSACTION state; see pop3.h. */
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/pop3/pop3_hello.h"
#include "common/pop3/pop3_line.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/pop3.h"
#include "mailbox/pop3_maildrop.h"

#define SLICE (1024 * 1024)
#define PIECE 16384
#define LISTED_SIZE (MAILDROP_UIDL_SIZE + 32)

struct pop3 {
	struct store *store;
	char *folders;
	bool (*lock)(struct pop3 *);
	struct maildrop drop;
	struct pop3_hello hello;
	bool greeted; /* hello has been read */
	struct evbuffer *out;
	struct pop3_line line;
	unsigned int bad;
	bool ended;

	/* the message being sent */
	bool sending;
	struct content content;
	size_t at;
	size_t body;         /* where the body starts */
	uint32_t lines_left; /* of the body */
	bool mid_line;
};

struct pop3 *
pop3_new(struct store *store, const char *folders, bool (*lock)(struct pop3 *))
{
	struct pop3 *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	pop3_line_init(&p->line, POP3_LINE_MAX);
	p->store = store;
	p->lock = lock;
	if ((p->out = evbuffer_new()) == NULL || (p->folders = strdup(folders)) == NULL) {
		if (p->out != NULL)
			evbuffer_free(p->out);
		free(p);
		return NULL;
	}
	return p;
}

void
pop3_free(struct pop3 *p)
{
	if (p == NULL)
		return;
	if (p->sending)
		content_release(&p->content);
	maildrop_close(&p->drop);
	free(p->folders);
	evbuffer_free(p->out);
	pop3_line_clear(&p->line);
	free(p);
}

int
pop3_idle(const struct pop3 *p)
{
	return !p->sending && !p->ended;
}

struct evbuffer *
pop3_output(struct pop3 *p)
{
	return p->out;
}

int
pop3_ended(const struct pop3 *p)
{
	return p->ended;
}

static void
ok(struct pop3 *p, const char *text)
{
	pop3_reply(p->out, p->hello.lang, "+OK", text);
	p->bad = 0;
}

static void
err(struct pop3 *p, const char *text)
{
	pop3_reply(p->out, p->hello.lang, "-ERR", text);
	if (++p->bad >= POP3_BAD_MAX)
		p->ended = true;
}

/* The message of that number, or NULL with the reply given. */
static struct maildrop_entry *
message(struct pop3 *p, const char *arg)
{
	const char *bad;
	long long n = strtonum(arg, 1, UINT32_MAX, &bad);

	if (bad != NULL || (size_t)n > p->drop.n)
		err(p, "no such message");
	else if (p->drop.v[n - 1].deleted)
		err(p, "message is deleted");
	else
		return &p->drop.v[n - 1];
	return NULL;
}

static void
cmd_stat(struct pop3 *p, char *arg)
{
	evbuffer_add_printf(
	    p->out, "+OK %zu %llu\r\n", p->drop.live, (unsigned long long)p->drop.octets);
	p->bad = 0;
}

/* "N " and the size or the identifier, with CRLF. */
static size_t
listed(const struct pop3 *p, size_t i, bool uidl, char out[LISTED_SIZE])
{
	const struct maildrop_entry *e = &p->drop.v[i];
	size_t n;

	if (!uidl)
		return (size_t)snprintf(out, LISTED_SIZE, "%zu %u\r\n", i + 1, e->size);
	n = (size_t)snprintf(out, LISTED_SIZE, "%zu ", i + 1);
	n += maildrop_uidl(&p->drop, e, out + n);
	memcpy(out + n, "\r\n", 2);
	return n + 2;
}

static void
listing(struct pop3 *p, char *arg, bool uidl)
{
	struct maildrop_entry *one;
	char buf[LISTED_SIZE * 64];
	size_t n = 0;

	if (*arg != '\0') {
		if ((one = message(p, arg)) == NULL)
			return;
		p->bad = 0;
		n = listed(p, (size_t)(one - p->drop.v), uidl, buf);
		evbuffer_add_printf(p->out, "+OK %.*s", (int)n, buf);
		return;
	}
	p->bad = 0;
	evbuffer_add_printf(p->out,
	    p->hello.lang == POP3_ZH ? "+OK %zu 封邮件（%llu 字节）\r\n"
				     : "+OK %zu messages (%llu octets)\r\n",
	    p->drop.live, (unsigned long long)p->drop.octets);
	for (size_t i = 0; i < p->drop.n; i++) {
		if (p->drop.v[i].deleted)
			continue;
		if (n + LISTED_SIZE > sizeof(buf)) {
			evbuffer_add(p->out, buf, n);
			n = 0;
		}
		n += listed(p, i, uidl, buf + n);
	}
	evbuffer_add(p->out, buf, n);
	evbuffer_add(p->out, ".\r\n", 3);
}

static void
cmd_list(struct pop3 *p, char *arg)
{
	listing(p, arg, false);
}

static void
cmd_uidl(struct pop3 *p, char *arg)
{
	listing(p, arg, true);
}

/* A header in UTF-8, which not every client may be shown (RFC 6856, 2.1). */
static bool
is_utf8_header(const struct pop3 *p)
{
	const char *s = (const char *)p->content.data;

	for (size_t i = 0; i < p->body; i++)
		if ((unsigned char)s[i] >= 0x80)
			return utf8_valid(s, p->body);
	return false;
}

static void
send_message(struct pop3 *p, struct maildrop_entry *m, uint32_t lines)
{
	enum store_error e =
	    folder_content(maildrop_folder(&p->drop, m), m->uid, &p->content);

	if (e != STORE_OK) {
		err(p, e == STORE_GONE || e == STORE_NOT_FOUND
			   ? "message is gone"
			   : "[SYS/TEMP] message cannot be read");
		return;
	}
	p->body = header_section_len((const char *)p->content.data, p->content.len);
	if (p->hello.utf8_strict && !p->hello.utf8 && is_utf8_header(p)) {
		content_release(&p->content);
		err(p, "[UTF8] the header is UTF-8: enable it before the login");
		return;
	}
	p->sending = true;
	p->at = 0;
	p->mid_line = false;
	p->lines_left = lines;
	evbuffer_add_printf(p->out,
	    p->hello.lang == POP3_ZH ? "+OK %u 字节\r\n" : "+OK %u octets\r\n", m->size);
	p->bad = 0;
}

static void
cmd_retr(struct pop3 *p, char *arg)
{
	struct maildrop_entry *m = message(p, arg);

	if (m != NULL)
		send_message(p, m, UINT32_MAX);
}

static void
cmd_top(struct pop3 *p, char *arg)
{
	char *count = pop3_split(arg);
	const char *bad;
	long long lines = strtonum(count, 0, UINT32_MAX - 1, &bad);
	struct maildrop_entry *m;

	if (bad != NULL)
		err(p, "TOP needs a message and a number of lines");
	else if ((m = message(p, arg)) != NULL)
		send_message(p, m, (uint32_t)lines);
}

static void
cmd_dele(struct pop3 *p, char *arg)
{
	struct maildrop_entry *m = message(p, arg);

	if (m == NULL)
		return;
	maildrop_delete(&p->drop, m);
	ok(p, "message deleted");
}

static void
cmd_noop(struct pop3 *p, char *arg)
{
	ok(p, "");
}

static void
cmd_rset(struct pop3 *p, char *arg)
{
	maildrop_undelete_all(&p->drop);
	ok(p, "deletions undone");
}

static void
cmd_capa(struct pop3 *p, char *arg)
{
	pop3_capa(p->out, &p->hello, false);
	p->bad = 0;
}

static void
cmd_lang(struct pop3 *p, char *arg)
{
	if (pop3_lang_command(p->out, &p->hello.lang, arg) == -1)
		err(p, "no such language");
	else
		p->bad = 0;
}

static void
cmd_quit(struct pop3 *p, char *arg)
{
	enum store_error e = maildrop_expunge(&p->drop);

	p->ended = true;
	if (e == STORE_OK)
		ok(p, "bye");
	else
		err(p, "[SYS/TEMP] some deleted messages were not removed");
}

static const struct {
	const char *name;
	int min_args, max_args;
	void (*run)(struct pop3 *, char *arg);
} commands[] = {
	{ "STAT", 0, 0, cmd_stat },
	{ "LIST", 0, 1, cmd_list },
	{ "UIDL", 0, 1, cmd_uidl },
	{ "RETR", 1, 1, cmd_retr },
	{ "TOP", 1, 1, cmd_top },
	{ "DELE", 1, 1, cmd_dele },
	{ "NOOP", 0, 0, cmd_noop },
	{ "RSET", 0, 0, cmd_rset },
	{ "CAPA", 0, 0, cmd_capa },
	{ "LANG", 0, 1, cmd_lang },
	{ "QUIT", 0, 0, cmd_quit },
};

static void
run_line(struct pop3 *p, char *line)
{
	char *arg = pop3_split(line);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!ascii_equal(line, strlen(line), commands[i].name))
			continue;
		if (*arg == '\0' ? commands[i].min_args > 0 : commands[i].max_args == 0)
			err(p, "wrong number of arguments");
		else
			commands[i].run(p, arg);
		return;
	}
	err(p, "unknown command");
}

/* The first line, which the client did not write; the reply is the one to its login. */
static void
greet(struct pop3 *p, bool whole)
{
	enum store_error error = STORE_OK;

	p->greeted = true;
	if (!whole || pop3_hello_parse(p->line.buf, &p->hello) == -1) {
		log_warnx("POP3 session: pop3d does not say who it is for");
		p->ended = true;
	} else if (p->lock != NULL && !p->lock(p)) {
		err(p, "[IN-USE] the maildrop is in use by another session");
		p->ended = true;
	} else if (maildrop_open(&p->drop, p->store, p->folders, &error) == -1) {
		log_warnx("POP3 session: %s",
		    error == STORE_OK ? "no memory" : store_error_text(error));
		err(p, "[SYS/TEMP] the mailbox cannot be opened now");
		p->ended = true;
	} else
		ok(p, "logged in");
}

size_t
pop3_input(struct pop3 *p, const uint8_t *in, size_t len)
{
	size_t done = 0;

	while (pop3_idle(p) && evbuffer_get_length(p->out) < POP3_HIGH_WATER) {
		size_t used;
		enum pop3_line_event ev =
		    pop3_line_next(&p->line, in + done, len - done, &used);

		done += used;
		if (ev == POP3_LINE_MORE)
			return done;
		if (!p->greeted)
			greet(p, ev == POP3_LINE);
		else if (ev == POP3_LINE_BAD)
			err(p, p->line.error);
		else
			run_line(p, p->line.buf);
	}
	return p->ended ? len : done;
}

/* One line with its dot doubled and CRLF at its end (RFC 1939, 3); a long one in pieces.
 */
static void
send_line(struct pop3 *p)
{
	const char *s = (const char *)p->content.data + p->at;
	size_t left = p->content.len - p->at, n = left < PIECE ? left : PIECE;
	const char *nl = memchr(s, '\n', n);

	if (n > 0 && s[0] == '.' && !p->mid_line)
		evbuffer_add(p->out, ".", 1);
	p->mid_line = nl == NULL && left > PIECE;
	if (p->mid_line) {
		n -= s[n - 1] == '\r'; /* it may be that of the end */
		evbuffer_add(p->out, s, n);
		p->at += n;
		return;
	}
	if (p->at >= p->body && p->lines_left != UINT32_MAX)
		p->lines_left--;
	n = nl == NULL ? left : (size_t)(nl - s);
	p->at += nl == NULL ? n : n + 1;
	if (n > 0 && s[n - 1] == '\r')
		n--;
	evbuffer_add(p->out, s, n);
	evbuffer_add(p->out, "\r\n", 2);
}

int
pop3_run(struct pop3 *p, size_t unsent)
{
	size_t start = p->at;

	while (p->sending && p->at - start < SLICE &&
	       evbuffer_get_length(p->out) + unsent < POP3_HIGH_WATER) {
		if (p->at < p->content.len && (p->at < p->body || p->lines_left > 0)) {
			send_line(p);
			continue;
		}
		evbuffer_add(p->out, ".\r\n", 3);
		content_release(&p->content);
		p->sending = false;
	}
	return p->sending && evbuffer_get_length(p->out) + unsent < POP3_HIGH_WATER;
}
