/* SPDX-License-Identifier: ISC */
/*
 * APPEND (RFC 3501, 6.3.11; RFC 4315; RFC 7889). The arguments before the message are
 * read when its literal is announced, and the literal goes to the store as it comes. A
 * message that cannot be stored is refused before the client sends it, if it waits.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/imap/imap_capability.h"
#include "common/proto/date.h"
#include "mailbox/imap.h"

struct imap_append {
	struct folder *folder;
	struct append *append;
	uint8_t flags;
	uint64_t keywords;
	int64_t internal;
	enum store_error error;
	const char *no; /* instead of error */
};

void
imap_append_drop(struct imap *s)
{
	struct imap_append *p = s->append;

	s->append = NULL;
	if (p == NULL)
		return;
	if (p->append != NULL)
		append_abort(p->append);
	if (p->folder != NULL)
		folder_close(p->folder);
	free(p);
}

static void
refuse_bad(struct imap *s, const char *text)
{
	/* a literal that comes all the same: the BAD follows when it has been read */
	if (imap_lex_refuse(&s->lex, text) == 0)
		imap_bad(s, text);
	else if (s->lex.literal_size > IMAP_SKIP_MAX) {
		imap_bad(s, text);
		imap_bye(s, "Literal too large to skip");
	}
}

static void
reply_failed(struct imap *s, const struct imap_append *p)
{
	if (p->no != NULL)
		imap_no(s, "%s", p->no);
	else if (p->error == STORE_NOT_FOUND)
		imap_no(s, "[TRYCREATE] %s", store_error_text(p->error));
	else
		imap_no_store(s, p->error);
}

/* Between the mailbox and the message. */
static int
options(struct imap_args *a, struct imap_append *p)
{
	bool no_room;

	p->internal = -1;
	if (imap_peek(a) == '(') {
		if (imap_flags(a, p->folder, p->folder != NULL, &p->flags, &p->keywords,
			&no_room) == -1 ||
		    imap_sp(a) == -1)
			return -1;
		if (no_room && p->folder != NULL)
			p->error = STORE_LIMIT;
	}
	if (imap_peek(a) == '"') {
		struct imap_str v;
		struct date d;

		if (imap_string(a, &v) == -1)
			return -1;
		if (date_parse_imap(v.s, v.len, &d) == -1)
			return imap_fail(a, "Invalid date-time");
		p->internal = d.time;
		if (imap_sp(a) == -1)
			return -1;
	}
	return imap_end(a);
}

static void
start(struct imap *s, struct imap_append *p)
{
	uint64_t size = s->lex.literal_size;

	if (p->no == NULL && p->error == STORE_OK && size > IMAP_APPEND_MAX)
		p->no = "[TOOBIG] Message larger than the limit of 67108864 octets";
	if (p->no == NULL && p->error == STORE_OK && size == 0)
		p->no = "Empty message";
	if (p->no == NULL && p->error == STORE_OK)
		p->error = append_begin(p->folder, size, &p->append);
	if (p->no == NULL && p->error == STORE_OK) {
		if (s->lex.literal_sync)
			evbuffer_add_printf(s->out, "+ Ready for message\r\n");
		imap_lex_stream(&s->lex);
	} else if (s->lex.literal_sync) {
		reply_failed(s, p);
		imap_append_drop(s);
		imap_lex_reset(&s->lex);
	} else if (size > IMAP_SKIP_MAX) {
		reply_failed(s, p);
		imap_append_drop(s);
		imap_bye(s, "Literal too large to skip");
	} else
		imap_lex_stream(&s->lex);
}

int
imap_append_literal(struct imap *s)
{
	struct imap_append *p;
	struct imap_args a;
	struct imap_str v;
	char name[STORE_NAME_MAX + 1], *copy;
	size_t len = s->lex.len;
	const char *no;

	if (s->append != NULL || s->idling) {
		imap_append_drop(s);
		refuse_bad(s, "Unexpected literal");
		return 1;
	}
	while (len > 0 && s->lex.buf[len - 1] != '{')
		len--;
	if (len < 2 || (copy = malloc(len)) == NULL)
		return 0;
	/* Reading changes quoted strings; the command itself may still be needed whole.
	 */
	memcpy(copy, s->lex.buf, --len);
	imap_args_init(&a, copy, len);
	if (imap_tag(&a, &v) == -1 || imap_sp(&a) == -1 || imap_atom(&a, &v) == -1 ||
	    !imap_str_is(&v, "APPEND") || imap_sp(&a) == -1 || imap_peek(&a) == -1) {
		free(copy);
		return 0;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		free(copy);
		refuse_bad(s, "Out of memory");
		return 1;
	}
	s->append = p;
	if (imap_mailbox(s, &a, name, &no) == 0 && imap_sp(&a) == 0) {
		p->no = no;
		if (no == NULL)
			p->error = folder_open(s->store, name, &p->folder);
		if (p->error != STORE_OK)
			p->folder = NULL;
		options(&a, p);
	}
	if (a.error != NULL) {
		imap_append_drop(s);
		refuse_bad(s, a.error);
	} else
		start(s, p);
	free(copy);
	return 1;
}

void
imap_append_data(struct imap *s, const uint8_t *data, size_t len)
{
	struct imap_append *p = s->append;

	if (p == NULL || p->append == NULL)
		return;
	if ((p->error = append_write(p->append, data, len)) != STORE_OK) {
		append_abort(p->append);
		p->append = NULL;
	}
}

void
imap_append_finish(struct imap *s)
{
	struct imap_append *p = s->append;
	uint32_t uid = 0, validity;

	if (s->lex.len > s->lex.line) {
		imap_append_drop(s);
		imap_bad(s, "Unexpected extra arguments");
		return;
	}
	if (p->append != NULL) {
		struct append *ap = p->append;

		p->append = NULL;
		p->error = append_commit(ap, p->flags, p->keywords, p->internal, &uid);
	}
	if (p->error != STORE_OK || p->no != NULL) {
		reply_failed(s, p);
		imap_append_drop(s);
		return;
	}
	validity = folder_uidvalidity(p->folder);
	imap_append_drop(s);
	imap_ok(s, "[APPENDUID %u %u] APPEND completed", validity, uid);
}

/* Only reached without a message: everything else went by imap_append_literal(). */
void
imap_cmd_append(struct imap *s, struct imap_args *a)
{
	imap_fail(a, "APPEND needs a mailbox and a message literal");
}
