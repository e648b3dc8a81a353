/* SPDX-License-Identifier: ISC */
/*
 * APPEND (RFC 9051, 6.3.12) with several messages (RFC 3502), messages put together of
 * texts and of others (CATENATE, RFC 4469), in UTF-8 (RFC 6855) and with NULs (RFC 3516),
 * and REPLACE (RFC 8508). What stands before a message is read when its literal is
 * announced, and the literal goes to the store as it comes. A message that cannot be
 * stored is refused before the client sends it, if it waits. All messages of a command
 * are stored, or none.
 *
 * The command comes in segments, each ended by a literal that is streamed or by the
 * command's end. A segment is read twice: first to see whether its literal is a message
 * or only an argument, which is then held with the command.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/imap/imap_capability.h"
#include "common/proto/date.h"
#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_url.h"
#include "mailbox/urlauth.h"

#define MESSAGES_MAX 200 /* of one command, where no limit is announced */
#define URL_SHOWN_MAX 200
/* Of messages that the URLs of one command name: each is read whole for its part. */
#define URL_OCTETS_MAX (16ull * IMAP_APPEND_MAX)

struct message_in {
	struct append *append;
	uint64_t size;
	bool binary; /* has come as literal8 */
	uint8_t flags;
	uint64_t keywords;
	int64_t internal;
	int zone_min;
};

struct imap_append {
	struct folder *folder;
	unsigned int rights; /* on it */
	size_t segment;      /* where the current one starts in the command */
	enum {
		HEAD,    /* it has the command's name and mailbox */
		BETWEEN, /* after a message */
		PARTS,   /* in the list of CATENATE, after a text */
		UTF8,    /* after the literal of UTF8 ( */
	} state;
	bool replace;
	uint32_t replaced; /* UID */
	struct message_in *v;
	size_t n;            /* the last one may be incomplete */
	uint64_t url_octets; /* of the messages that URLs have named */
	bool failed;
	enum store_error error;
	const char *no;                  /* instead of error */
	char bad_url[URL_SHOWN_MAX + 1]; /* what CATENATE could not find */
	char limit[IMAP_LIMIT_CODE_MAX + 40];
};

/* What ends a segment. */
enum stop {
	STOP_BAD,      /* a->error */
	STOP_ARGUMENT, /* a literal that belongs to the command's text */
	STOP_DATA,     /* a literal that is (part of) a message */
	STOP_END,
};

void
imap_append_drop(struct imap *s)
{
	struct imap_append *p = s->append;

	s->append = NULL;
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		append_abort(p->v[i].append);
	free(p->v);
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
fail_store(struct imap_append *p, enum store_error e)
{
	if (!p->failed)
		p->error = e;
	p->failed = true;
}

static void
fail_no(struct imap_append *p, const char *no)
{
	if (!p->failed)
		p->no = no;
	p->failed = true;
}

static void
reply_failed(struct imap *s, const struct imap_append *p)
{
	if (p->bad_url[0] != '\0')
		imap_no(s, "[BADURL \"%s\"] No such message or part", p->bad_url);
	else if (p->no != NULL)
		imap_no(s, "%s", p->no);
	else if (p->error == STORE_NOT_FOUND)
		imap_no(s, "[TRYCREATE] %s", store_error_text(p->error));
	else
		imap_no_store(s, p->error);
}

/* ---- content ---- */

/* The last message, begun when it has not been yet; NULL: failed. */
static struct message_in *
current(struct imap_append *p, uint64_t more)
{
	struct message_in *m = &p->v[p->n - 1];
	enum store_error e;

	if (p->failed)
		return NULL;
	if (more > IMAP_APPEND_MAX || m->size + more > IMAP_APPEND_MAX) {
		fail_no(p, "[TOOBIG] Message larger than the limit of 67108864 octets");
		return NULL;
	}
	if (m->append == NULL &&
	    (e = append_begin(p->folder, more, &m->append)) != STORE_OK) {
		fail_store(p, e);
		return NULL;
	}
	return m;
}

static void
write_octets(struct imap_append *p, const void *data, size_t len)
{
	struct message_in *m = current(p, len);
	enum store_error e;

	if (m == NULL)
		return;
	m->size += len;
	if ((e = append_write(m->append, data, len)) != STORE_OK)
		fail_store(p, e);
}

/* Names in URLs are as the session knows them. */
static enum store_error
imap_url_open(struct imap *s, const struct imap_url *u, struct folder **f)
{
	char name[STORE_NAME_MAX + 1];

	if (!u->has_mailbox)
		return imap_open(s, folder_name(s->folder), ACL_READ, f);
	(void)strlcpy(name, u->mailbox, sizeof(name));
	if (s->guest != NULL && imap_guest_strip(s->guest, name) == -1)
		return STORE_NOT_FOUND;
	return imap_open(s, name, ACL_READ, f);
}

static int
write_url(struct imap *s, struct imap_append *p, const struct imap_url *u)
{
	struct folder *f = NULL;
	struct content c;
	struct imap_octets octets = { 0 };
	int rv = -1;

	if (!u->has_mailbox && s->folder == NULL)
		return -1;
	if (imap_url_open(s, u, &f) != STORE_OK)
		return -1;
	if ((u->uidvalidity == 0 || u->uidvalidity == folder_uidvalidity(f)) &&
	    folder_content(f, u->uid, &c) == STORE_OK) {
		p->url_octets += c.len;
		if (p->url_octets > URL_OCTETS_MAX) {
			fail_no(p, "[LIMIT] Too many URLs of large messages");
			rv = 0;
		} else if ((rv = imap_url_octets(u, &c, &octets)) == 0)
			write_octets(p, octets.data, octets.len);
		free(octets.owned);
		content_release(&c);
	}
	folder_close(f);
	return rv;
}

/* A whole URL into this mailbox, with its authorisation (RFC 4467). */
static int
write_authorised(struct imap *s, struct imap_append *p, const struct imap_str *v)
{
	struct urlauth_asker who = { s->owner, false };
	struct urlauth_part part;

	if (s->owner == NULL || s->guest != NULL ||
	    urlauth_open(s->store, s->owner, &who, v->s, v->len, 0, time(NULL), &part) !=
		URLAUTH_OK)
		return -1;
	p->url_octets += part.content.len;
	if (p->url_octets > URL_OCTETS_MAX)
		fail_no(p, "[LIMIT] Too many URLs of large messages");
	write_octets(p, part.octets.data, part.octets.len);
	urlauth_part_clear(&part);
	return 0;
}

static void
add_url(struct imap *s, struct imap_append *p, const struct imap_str *v)
{
	struct imap_url u;
	size_t n = 0;

	if (p->failed ||
	    (imap_url_parse(v->s, v->len, &u) == 0 && write_url(s, p, &u) == 0) ||
	    write_authorised(s, p, v) == 0)
		return;
	for (size_t i = 0; i < v->len && n < URL_SHOWN_MAX; i++)
		if (v->s[i] > ' ' && v->s[i] < 0x7f && v->s[i] != '"' &&
		    v->s[i] != '\\' && v->s[i] != ']')
			p->bad_url[n++] = v->s[i];
	if (n == 0)
		p->bad_url[n++] = '?';
	p->bad_url[n] = '\0';
	p->failed = true;
}

/* ---- arguments ---- */

static bool
word(struct imap_args *a, const char *name)
{
	size_t n = strlen(name);
	struct imap_str v = { a->buf + a->pos, n };

	if (a->len - a->pos < n || !imap_str_is(&v, name))
		return false;
	a->pos += n;
	return true;
}

/* The last one's content is there: one after the other, as they come, is seen to. */
static void
message_end(struct imap_append *p)
{
	struct message_in *m = p->n == 0 ? NULL : &p->v[p->n - 1];
	enum store_error e;

	if (m == NULL || m->append == NULL)
		return;
	if (m->binary && !p->failed && (e = append_to_8bit(m->append)) != STORE_OK)
		fail_store(p, e);
	m->binary = false;
}

/* One message more, with the options that stand before its content. */
static int
options(struct imap *s, struct imap_args *a, struct imap_append *p, bool dry)
{
	struct message_in none = { .internal = -1 }, *m = &none;
	bool no_room = false;

	if (!dry) {
		if (s->offer.save_limit == 0 && p->n == MESSAGES_MAX)
			return imap_fail(a, "[LIMIT] Too many messages in one command");
		if (s->offer.save_limit != 0 && p->n == s->offer.save_limit) {
			(void)snprintf(p->limit, sizeof(p->limit),
			    "[MESSAGELIMIT %u] Too many messages in one command",
			    s->offer.save_limit);
			fail_no(p, p->limit);
		} else {
			message_end(p);
			if (p->n > 0)
				append_rest(p->v[p->n - 1].append);
			if ((m = reallocarray(p->v, p->n + 1, sizeof(*m))) == NULL)
				return imap_fail(a, "Out of memory");
			p->v = m;
			m += p->n++;
			*m = none;
		}
	}
	if (imap_peek(a) == '(') {
		bool keep = !dry && p->folder != NULL && (p->rights & ACL_WRITE);

		if (imap_flags(a, p->folder, keep, &m->flags, &m->keywords, &no_room) ==
			-1 ||
		    imap_sp(a) == -1)
			return -1;
		imap_rights_flags(p->rights, &m->flags, &m->keywords);
		if (no_room && p->folder != NULL)
			fail_store(p, STORE_LIMIT);
	}
	if (imap_peek(a) == '"') {
		struct imap_str v;
		struct date d;

		if (imap_string(a, &v) == -1)
			return -1;
		if (date_parse_imap(v.s, v.len, &d) == -1)
			return imap_fail(a, "Invalid date-time");
		m->internal = d.time;
		m->zone_min = d.zone_min;
		if (imap_sp(a) == -1)
			return -1;
	}
	return 0;
}

static void
try_literal8(struct imap_args *a, struct imap_append *p, bool dry)
{
	if (imap_try_char(a, '~') && !dry && p->n > 0)
		p->v[p->n - 1].binary = true;
}

/* Parts of CATENATE, to ")" or to a text. */
static enum stop
parts(struct imap *s, struct imap_args *a, struct imap_append *p, bool literal, bool dry)
{
	struct imap_str v;

	for (;;) {
		if (word(a, "TEXT")) {
			if (imap_sp(a) == -1)
				return STOP_BAD;
			try_literal8(a, p, dry);
			if (imap_peek(a) == -1 && literal) {
				p->state = PARTS;
				return STOP_DATA;
			}
			/* A text may have been held, or stand in quotes. */
			if (imap_string(a, &v) == -1)
				return STOP_BAD;
			if (!dry)
				write_octets(p, v.s, v.len);
		} else if (word(a, "URL")) {
			if (imap_sp(a) == -1)
				return STOP_BAD;
			if (imap_peek(a) == -1 && literal)
				return STOP_ARGUMENT;
			if (imap_astring(a, &v) == -1)
				return STOP_BAD;
			if (!dry)
				add_url(s, p, &v);
		} else {
			(void)imap_fail(a, "TEXT or URL expected");
			return STOP_BAD;
		}
		if (imap_try_char(a, ')'))
			return STOP_END; /* of the list */
		if (imap_sp(a) == -1)
			return STOP_BAD;
	}
}

/* Messages, from the space before the first one on. */
static enum stop
messages(
    struct imap *s, struct imap_args *a, struct imap_append *p, bool literal, bool dry)
{
	while (imap_peek(a) != -1) {
		enum stop stop;

		if (p->replace && (p->n > 0 || p->state != HEAD)) {
			(void)imap_fail(a, "REPLACE takes one message");
			return STOP_BAD;
		}
		if (imap_sp(a) == -1 || options(s, a, p, dry) == -1)
			return STOP_BAD;
		p->state = BETWEEN;
		if (word(a, "CATENATE")) {
			if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
				return STOP_BAD;
			if ((stop = parts(s, a, p, literal, dry)) != STOP_END)
				return stop;
			continue;
		}
		if (word(a, "UTF8")) {
			if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
				return STOP_BAD;
			p->state = UTF8;
		}
		try_literal8(a, p, dry);
		if (imap_peek(a) == -1 && literal)
			return STOP_DATA;
		(void)imap_fail(a, "A message literal is expected");
		return STOP_BAD;
	}
	return STOP_END;
}

/* The message that REPLACE takes away: a number or "*", the last one. */
static enum stop
replaced(struct imap *s, struct imap_args *a, struct imap_append *p, bool uid)
{
	bool last = imap_try_char(a, '*');

	if (s->folder == NULL) {
		(void)imap_fail(a, "No mailbox selected");
		return STOP_BAD;
	}
	if (!uid && (s->enabled & IMAP_UIDONLY)) {
		(void)imap_fail(a, IMAP_UIDREQUIRED);
		return STOP_BAD;
	}
	if ((!last && imap_number(a, &p->replaced) == -1) || imap_sp(a) == -1)
		return STOP_BAD;
	if (last)
		p->replaced = (uint32_t)s->n_view;
	if (uid && !last)
		return STOP_END;
	if (p->replaced == 0 || p->replaced > s->n_view) {
		(void)imap_fail(a, "No message with that sequence number");
		return STOP_BAD;
	}
	p->replaced = imap_view_uid(s, p->replaced - 1);
	return STOP_END;
}

/* The command's name and its mailbox. */
static enum stop
head(struct imap *s, struct imap_args *a, struct imap_append *p, bool literal, bool dry)
{
	char name[STORE_NAME_MAX + 1];
	struct imap_str v;
	const char *no;
	enum store_error e;
	bool uid;

	if (imap_tag(a, &v) == -1 || imap_sp(a) == -1 || imap_atom(a, &v) == -1)
		return STOP_BAD;
	if ((uid = imap_str_is(&v, "UID")) &&
	    (imap_sp(a) == -1 || imap_atom(a, &v) == -1))
		return STOP_BAD;
	p->replace = imap_str_is(&v, "REPLACE");
	if (imap_sp(a) == -1)
		return STOP_BAD;
	if (p->replace && replaced(s, a, p, uid) == STOP_BAD)
		return STOP_BAD;
	if (imap_peek(a) == -1 && literal)
		return STOP_ARGUMENT;
	if (imap_mailbox(s, a, name, &no) == -1)
		return STOP_BAD;
	if (dry)
		return STOP_END;
	if (p->replace && imap_guest_lost(s))
		no = "[NOPERM] This mailbox is not shared any more";
	else if (p->replace && (~imap_rights_here(s) & (ACL_DELETED | ACL_EXPUNGE)))
		no = "[NOPERM] You have not the right to remove messages here";
	else if (p->replace && s->readonly)
		no = "[READ-ONLY] Mailbox is read-only";
	else if (p->replace && imap_view_seq(s, p->replaced) == 0)
		no = "[NONEXISTENT] No such message";
	if (no != NULL)
		fail_no(p, no);
	else if ((e = imap_open(s, name, ACL_INSERT, &p->folder)) != STORE_OK) {
		p->folder = NULL;
		fail_store(p, e);
	}
	p->rights = imap_rights(s, name);
	return STOP_END;
}

static enum stop
read_segment(
    struct imap *s, struct imap_args *a, struct imap_append *p, bool literal, bool dry)
{
	enum stop stop;

	switch (p->state) {
	case HEAD:
		if ((stop = head(s, a, p, literal, dry)) != STOP_END)
			return stop;
		break;
	case PARTS:
		if (imap_try_char(a, ')')) {
			p->state = BETWEEN;
			break;
		}
		if (imap_sp(a) == -1)
			return STOP_BAD;
		if ((stop = parts(s, a, p, literal, dry)) != STOP_END)
			return stop;
		p->state = BETWEEN;
		break;
	case UTF8:
		if (imap_char(a, ')') == -1)
			return STOP_BAD;
		p->state = BETWEEN;
		break;
	case BETWEEN:
		break;
	}
	return messages(s, a, p, literal, dry);
}

/* Reads the segment up to len, dry or not. Reading changes quoted strings, and the
 * command itself is needed whole for the second time. */
static enum stop
segment(struct imap *s, size_t len, bool literal, bool dry, const char **error)
{
	struct imap_append *p = s->append, saved = *p;
	struct imap_args a;
	enum stop stop;
	char *copy;

	*error = NULL;
	if (len < p->segment || (copy = malloc(len - p->segment + 1)) == NULL) {
		*error = "Out of memory";
		return STOP_BAD;
	}
	memcpy(copy, s->lex.buf + p->segment, len - p->segment);
	imap_args_init(&a, copy, len - p->segment);
	stop = read_segment(s, &a, p, literal, dry);
	if (stop == STOP_BAD)
		*error = a.error != NULL ? a.error : "Syntax error";
	free(copy);
	if (dry)
		*p = saved;
	return stop;
}

/* ---- literals ---- */

/* Does the command begin as APPEND or REPLACE? */
static bool
is_append(struct imap *s)
{
	struct imap_args a;
	struct imap_str v;

	imap_args_init(&a, s->lex.buf, s->lex.len);
	if (imap_tag(&a, &v) == -1 || imap_sp(&a) == -1 || imap_atom(&a, &v) == -1)
		return false;
	if (imap_str_is(&v, "UID") && (imap_sp(&a) == -1 || imap_atom(&a, &v) == -1))
		return false;
	return imap_str_is(&v, "APPEND") || imap_str_is(&v, "REPLACE");
}

static void
start(struct imap *s, struct imap_append *p)
{
	uint64_t size = s->lex.literal_size;

	if (size == 0 && p->state != PARTS)
		fail_no(p, "Empty message");
	(void)current(p, size);
	if (!p->failed) {
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
	const char *error;
	size_t len = s->lex.len;
	enum stop stop;

	if (s->idling) {
		refuse_bad(s, "Unexpected literal");
		return 1;
	}
	if (s->append == NULL) {
		if (!is_append(s))
			return 0;
		if ((s->append = calloc(1, sizeof(*s->append))) == NULL) {
			refuse_bad(s, "Out of memory");
			return 1;
		}
	}
	/* Without the literal's own sign. */
	while (len > 0 && s->lex.buf[len - 1] != '{')
		len--;
	len -= len > 0;
	stop = segment(s, len, true, true, &error);
	if (stop == STOP_DATA)
		stop = segment(s, len, true, false, &error);
	switch (stop) {
	case STOP_DATA:
		s->append->segment = s->lex.len;
		start(s, s->append);
		return 1;
	case STOP_ARGUMENT:
		/* Before anything was kept it is a command like others. */
		if (s->append->state == HEAD)
			imap_append_drop(s);
		return 0;
	default:
		imap_append_drop(s);
		refuse_bad(s, error != NULL ? error : "Unexpected literal");
		return 1;
	}
}

void
imap_append_data(struct imap *s, const uint8_t *data, size_t len)
{
	if (s->append != NULL)
		write_octets(s->append, data, len);
}

/* ---- the end ---- */

/* All of them, or none. */
static enum store_error
commit(struct imap_append *p, uint32_t *uids)
{
	enum store_error e = folder_batch_begin(p->folder, p->n);
	size_t done = 0;

	for (; done < p->n && e == STORE_OK; done++) {
		struct message_in *m = &p->v[done];
		struct append *a = m->append;

		m->append = NULL;
		append_set_zone(a, m->zone_min);
		e = append_commit(a, m->flags, m->keywords, m->internal, &uids[done]);
	}
	if (e != STORE_OK && done > 0)
		done--; /* that one is not there */
	else if (e == STORE_OK)
		e = folder_batch_end(p->folder);
	if (e != STORE_OK && done > 0)
		(void)folder_expunge(p->folder, uids, done, 1, NULL);
	(void)folder_batch_end(p->folder);
	return e;
}

static void
finish(struct imap *s, struct imap_append *p)
{
	uint32_t *uids = NULL, replaced = p->replaced;
	struct evbuffer *code = NULL;
	bool replace = p->replace;
	size_t removed = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].append == NULL || p->v[i].size == 0)
			fail_no(p, "Empty message");
	message_end(p);
	if (!p->failed && ((uids = calloc(p->n + 1, sizeof(*uids))) == NULL ||
			      (code = evbuffer_new()) == NULL))
		fail_no(p, "[UNAVAILABLE] Out of memory");
	if (!p->failed && (p->error = commit(p, uids)) != STORE_OK)
		p->failed = true;
	if (p->failed) {
		reply_failed(s, p);
		imap_append_drop(s);
		goto out;
	}
	evbuffer_add_printf(code, "[APPENDUID %u ", folder_uidvalidity(p->folder));
	imap_set_print(code, uids, p->n);
	evbuffer_add(code, "]", 2);
	imap_append_drop(s);
	if (!replace) {
		imap_ok(s, "%s APPEND completed", (char *)evbuffer_pullup(code, -1));
		goto out;
	}
	imap_untagged(
	    s, "OK %s Replacement is stored", (char *)evbuffer_pullup(code, -1));
	if (folder_expunge(s->folder, &replaced, 1, 1, &removed) != STORE_OK ||
	    store_sync(s->store) != STORE_OK)
		imap_no(s, "[SERVERBUG] The old message could not be removed");
	else
		imap_ok_modseq(s, "REPLACE completed", removed > 0);
out:
	if (code != NULL)
		evbuffer_free(code);
	free(uids);
}

void
imap_append_finish(struct imap *s)
{
	struct imap_append *p = s->append;
	const char *error;

	imap_lex_tag(&s->lex, s->tag, sizeof(s->tag));
	if (segment(s, s->lex.len, false, false, &error) != STOP_END) {
		imap_append_drop(s);
		imap_bad(s, error != NULL ? error : "Syntax error");
		return;
	}
	finish(s, p);
}

/* Without a literal: only CATENATE of URLs can be that. */
static void
whole(struct imap *s, struct imap_args *a)
{
	if ((s->append = calloc(1, sizeof(*s->append))) == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	a->pos = 0;
	if (read_segment(s, a, s->append, false, false) != STOP_END ||
	    s->append->n == 0) {
		imap_append_drop(s);
		(void)imap_fail(a, "A message literal is expected");
		return;
	}
	finish(s, s->append);
}

void
imap_cmd_append(struct imap *s, struct imap_args *a)
{
	whole(s, a);
}

void
imap_cmd_replace(struct imap *s, struct imap_args *a)
{
	whole(s, a);
}
