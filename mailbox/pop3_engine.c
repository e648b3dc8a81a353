/* SPDX-License-Identifier: ISC */
/* The POP3 machine in its TRANSACTION state; see pop3.h. */
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/pop3/pop3_line.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/pop3.h"

#define SLICE (1024 * 1024)
#define PIECE 16384

struct entry {
	uint32_t uid, size;
	bool deleted;
};

struct pop3 {
	struct folder *folder;
	struct evbuffer *out;
	struct pop3_line line;
	struct entry *v;
	size_t n;
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
pop3_new(struct store *store, enum store_error *error)
{
	struct pop3 *p = calloc(1, sizeof(*p));

	*error = STORE_OK;
	if (p == NULL)
		return NULL;
	pop3_line_init(&p->line, POP3_LINE_MAX);
	if ((p->out = evbuffer_new()) == NULL ||
	    (*error = folder_open(store, "INBOX", &p->folder)) != STORE_OK) {
		p->folder = NULL;
		pop3_free(p);
		return NULL;
	}
	folder_refresh(p->folder);
	p->n = folder_count(p->folder);
	if ((p->v = calloc(p->n + 1, sizeof(*p->v))) == NULL) {
		pop3_free(p);
		return NULL;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct message *m = folder_message(p->folder, i);

		p->v[i].uid = m->uid;
		p->v[i].size = m->size;
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
	if (p->folder != NULL)
		folder_close(p->folder);
	if (p->out != NULL)
		evbuffer_free(p->out);
	pop3_line_clear(&p->line);
	free(p->v);
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
	evbuffer_add_printf(p->out, "+OK %s\r\n", text);
	p->bad = 0;
}

static void
err(struct pop3 *p, const char *text)
{
	evbuffer_add_printf(p->out, "-ERR %s\r\n", text);
	if (++p->bad >= POP3_BAD_MAX)
		p->ended = true;
}

/* The message of that number, or NULL with the reply given. */
static struct entry *
message(struct pop3 *p, const char *arg)
{
	const char *bad;
	long long n = strtonum(arg, 1, UINT32_MAX, &bad);

	if (bad != NULL || (size_t)n > p->n)
		err(p, "no such message");
	else if (p->v[n - 1].deleted)
		err(p, "message is deleted");
	else
		return &p->v[n - 1];
	return NULL;
}

static void
totals(struct pop3 *p, size_t *n, uint64_t *size)
{
	*n = 0;
	*size = 0;
	for (size_t i = 0; i < p->n; i++)
		if (!p->v[i].deleted) {
			(*n)++;
			*size += p->v[i].size;
		}
}

static void
cmd_stat(struct pop3 *p, char *arg)
{
	size_t n;
	uint64_t size;

	totals(p, &n, &size);
	evbuffer_add_printf(p->out, "+OK %zu %llu\r\n", n, (unsigned long long)size);
	p->bad = 0;
}

static void
listing(struct pop3 *p, char *arg, bool uidl)
{
	uint32_t validity = folder_uidvalidity(p->folder);
	struct entry *one = NULL;
	size_t n;
	uint64_t size;

	if (*arg != '\0' && (one = message(p, arg)) == NULL)
		return;
	p->bad = 0;
	if (one == NULL) {
		totals(p, &n, &size);
		evbuffer_add_printf(p->out, "+OK %zu messages (%llu octets)\r\n", n,
		    (unsigned long long)size);
	}
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].deleted || (one != NULL && one != &p->v[i]))
			continue;
		evbuffer_add_printf(p->out, "%s%zu ", one != NULL ? "+OK " : "", i + 1);
		if (uidl)
			evbuffer_add_printf(
			    p->out, "%08x%08x\r\n", validity, p->v[i].uid);
		else
			evbuffer_add_printf(p->out, "%u\r\n", p->v[i].size);
	}
	if (one == NULL)
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

static void
send_message(struct pop3 *p, struct entry *m, uint32_t lines)
{
	enum store_error e = folder_content(p->folder, m->uid, &p->content);

	if (e != STORE_OK) {
		err(p, e == STORE_GONE || e == STORE_NOT_FOUND
			   ? "message is gone"
			   : "[SYS/TEMP] message cannot be read");
		return;
	}
	p->sending = true;
	p->at = 0;
	p->mid_line = false;
	p->body = header_section_len((const char *)p->content.data, p->content.len);
	p->lines_left = lines;
	evbuffer_add_printf(p->out, "+OK %u octets\r\n", m->size);
	p->bad = 0;
}

static void
cmd_retr(struct pop3 *p, char *arg)
{
	struct entry *m = message(p, arg);

	if (m != NULL)
		send_message(p, m, UINT32_MAX);
}

static void
cmd_top(struct pop3 *p, char *arg)
{
	char *count = pop3_split(arg);
	const char *bad;
	long long lines = strtonum(count, 0, UINT32_MAX - 1, &bad);
	struct entry *m;

	if (bad != NULL)
		err(p, "TOP needs a message and a number of lines");
	else if ((m = message(p, arg)) != NULL)
		send_message(p, m, (uint32_t)lines);
}

static void
cmd_dele(struct pop3 *p, char *arg)
{
	struct entry *m = message(p, arg);

	if (m == NULL)
		return;
	m->deleted = true;
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
	for (size_t i = 0; i < p->n; i++)
		p->v[i].deleted = false;
	ok(p, "deletions undone");
}

static void
cmd_capa(struct pop3 *p, char *arg)
{
	evbuffer_add_printf(p->out,
	    "+OK capabilities\r\nTOP\r\nUIDL\r\nRESP-CODES\r\n"
	    "AUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n.\r\n");
	p->bad = 0;
}

static void
cmd_quit(struct pop3 *p, char *arg)
{
	uint32_t *uids = reallocarray(NULL, p->n + 1, sizeof(*uids));
	size_t n = 0, removed;
	enum store_error e = STORE_OK;

	p->ended = true;
	if (uids == NULL) {
		err(p, "[SYS/TEMP] out of memory, nothing deleted");
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].deleted)
			uids[n++] = p->v[i].uid;
	if (n > 0)
		e = folder_expunge(p->folder, uids, n, 1, &removed);
	free(uids);
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
		if (ev == POP3_LINE_BAD)
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
