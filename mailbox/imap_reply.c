/* SPDX-License-Identifier: ISC */
/* Replies of another mailbox's process; see imap_reply.h. */
#include "mailbox/imap_reply.h"

#include <event2/buffer.h>
#include <string.h>

#include "common/imap/imap_parse.h"
#include "common/proto/encoding.h"

#define KEEP 40 /* octets that a "{4294967295}" at a line's end may need */

void
imap_reply_init(struct imap_reply *r)
{
	memset(r, 0, sizeof(*r));
}

static size_t
word(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] != ' ' && s[n] != '\r' && s[n] != '\n')
		n++;
	return n;
}

static bool
is_status(const char *s, size_t len)
{
	return ascii_equal(s, len, "OK") || ascii_equal(s, len, "NO") ||
	       ascii_equal(s, len, "BAD") || ascii_equal(s, len, "BYE") ||
	       ascii_equal(s, len, "PREAUTH");
}

/* Continuations, tagged lines and status responses have text at their end. */
static bool
ends_in_text(const char *s, size_t len)
{
	size_t n;

	if (len < 2 || s[0] != '*' || s[1] != ' ')
		return true;
	n = word(s + 2, len - 2);
	return is_status(s + 2, n);
}

/* "{5}" before the line's end. */
static bool
find_literal(const char *s, size_t len, uint64_t *size)
{
	uint64_t n = 0, unit = 1;
	size_t i = len;

	while (i > 0 && (s[i - 1] == '\n' || s[i - 1] == '\r'))
		i--;
	if (i == 0 || s[--i] != '}')
		return false;
	if (i > 0 && s[i - 1] == '+')
		i--;
	if (i == 0 || s[i - 1] < '0' || s[i - 1] > '9')
		return false;
	for (; i > 0 && s[i - 1] >= '0' && s[i - 1] <= '9'; i--) {
		if (unit > 1000000000)
			return false;
		n += unit * (uint64_t)(s[i - 1] - '0');
		unit *= 10;
	}
	*size = n;
	return i > 0 && s[i - 1] == '{';
}

enum imap_reply_event
imap_reply_next(struct imap_reply *r, struct evbuffer *in)
{
	size_t have = evbuffer_get_length(in), n;
	struct evbuffer_ptr nl;

	r->s = NULL;
	if (r->left > 0) {
		r->len = have < r->left ? have : (size_t)r->left;
		r->first = r->last = r->has_literal = false;
		return r->len == 0 ? IMAP_REPLY_MORE : IMAP_REPLY_DATA;
	}
	nl = evbuffer_search(in, "\n", 1, NULL);
	n = nl.pos >= 0 ? (size_t)nl.pos + 1 : 0;
	if (n == 0 || n > IMAP_REPLY_PIECE) {
		if (have < IMAP_REPLY_PIECE)
			return IMAP_REPLY_MORE;
		n = IMAP_REPLY_PIECE - KEEP;
		nl.pos = -1;
	}
	if ((r->s = (const char *)evbuffer_pullup(in, (ev_ssize_t)n)) == NULL)
		return IMAP_REPLY_MORE;
	r->len = n;
	r->first = !r->inside;
	if (r->first)
		r->text = ends_in_text(r->s, n);
	r->has_literal = nl.pos >= 0 && !r->text && find_literal(r->s, n, &r->literal);
	if (!r->has_literal)
		r->literal = 0;
	r->last = nl.pos >= 0 && !r->has_literal;
	return IMAP_REPLY_LINE;
}

void
imap_reply_take(
    struct imap_reply *r, struct evbuffer *in, struct evbuffer *out, size_t max)
{
	size_t n = r->len;

	if (r->s == NULL) {
		if (n > max)
			n = max;
		r->left -= n;
	} else {
		r->inside = !r->last;
		r->left = r->literal;
	}
	if (out == NULL)
		evbuffer_drain(in, n);
	else
		(void)evbuffer_remove_buffer(in, out, n);
	r->s = NULL;
	r->len = 0;
}

bool
imap_reply_is(const struct imap_reply *r, const char *tag)
{
	size_t n = strlen(tag);

	if (!r->first || r->s == NULL)
		return false;
	if (n == 0)
		return r->s[0] == '+';
	return r->len > n && memcmp(r->s, tag, n) == 0 && r->s[n] == ' ';
}

bool
imap_reply_ok(const struct imap_reply *r, const char *tag)
{
	size_t n = strlen(tag) + 1;

	return imap_reply_is(r, tag) &&
	       ascii_equal(r->s + n, word(r->s + n, r->len - n), "OK");
}

bool
imap_reply_code_is_harmless(const char *s, size_t len)
{
	static const char *const codes[] = { "ALREADYEXISTS", "APPENDUID", "BADCHARSET",
		"BADCOMPARATOR", "BADURL", "CANNOT", "CLIENTBUG", "CLOSED", "COPYUID",
		"CORRUPTION", "EXPUNGEISSUED", "HASCHILDREN", "HIGHESTMODSEQ",
		"INPROGRESS", "INUSE", "LIMIT", "MAILBOXID", "MESSAGELIMIT", "METADATA",
		"MODIFIED", "NOMODSEQ", "NONEXISTENT", "NOPERM", "NOTSAVED", "NOUPDATE",
		"OVERQUOTA", "PARSE", "PERMANENTFLAGS", "READ-ONLY", "READ-WRITE",
		"SERVERBUG", "TOOBIG", "TRYCREATE", "UIDNEXT", "UIDNOTSTICKY",
		"UIDREQUIRED", "UIDVALIDITY", "UNAVAILABLE", "UNDEFINED-FILTER",
		"UNKNOWN-CTE", "UNSEEN" };
	size_t n = 1;

	if (len == 0 || s[0] != '[')
		return true;
	while (n < len && s[n] != ' ' && s[n] != ']' && s[n] != '\r' && s[n] != '\n')
		n++;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (ascii_equal(s + 1, n - 1, codes[i]))
			return true;
	return false;
}

/* The response's name, and what stands behind it. */
static size_t
name_of(const struct imap_reply *r, const char **name, const char **rest)
{
	const char *s = r->s + 2, *end = r->s + r->len;
	size_t n = word(s, (size_t)(end - s));
	bool number = n > 0;

	for (size_t i = 0; i < n; i++)
		number &= s[i] >= '0' && s[i] <= '9';
	if (number && s + n < end && s[n] == ' ') {
		s += n + 1;
		n = word(s, (size_t)(end - s));
	}
	*name = s;
	*rest = s + n + (s + n < end && s[n] == ' ');
	return n;
}

enum imap_reply_kind
imap_reply_kind(const struct imap_reply *r)
{
	static const char *const selected[] = { "FETCH", "UIDFETCH", "EXPUNGE", "EXISTS",
		"RECENT", "FLAGS", "SEARCH", "ESEARCH", "SORT", "THREAD", "VANISHED" };
	static const char *const named[] = { "LIST", "STATUS", "QUOTA", "QUOTAROOT",
		"METADATA", "ACL", "LISTRIGHTS", "MYRIGHTS" };
	const char *name, *rest;
	size_t n;

	if (!r->first || r->len < 4 || r->s[0] != '*' || r->s[1] != ' ')
		return IMAP_REPLY_BAD;
	n = name_of(r, &name, &rest);
	if (ascii_equal(name, n, "BYE"))
		return IMAP_REPLY_BYE;
	if (is_status(name, n))
		return !ascii_equal(name, n, "PREAUTH") &&
			       imap_reply_code_is_harmless(
				   rest, (size_t)(r->s + r->len - rest))
			   ? IMAP_REPLY_STATUS
			   : IMAP_REPLY_IGNORE;
	for (size_t i = 0; i < sizeof(selected) / sizeof(selected[0]); i++)
		if (ascii_equal(name, n, selected[i]))
			return IMAP_REPLY_SELECTED;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (ascii_equal(name, n, named[i]))
			return IMAP_REPLY_MAILBOX;
	return IMAP_REPLY_IGNORE;
}

bool
imap_reply_is_result(const struct imap_reply *r, const char *tag_prefix)
{
	static const char *const results[] = { "SEARCH", "SORT", "THREAD" };
	static const char tag[] = "(TAG \"";
	const char *name, *rest, *end = r->s + r->len;
	size_t n = name_of(r, &name, &rest), k = strlen(tag_prefix);

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (ascii_equal(name, n, results[i]))
			return true;
	return ascii_equal(name, n, "ESEARCH") &&
	       (size_t)(end - rest) > sizeof(tag) - 1 + k &&
	       memcmp(rest, tag, sizeof(tag) - 1) == 0 &&
	       memcmp(rest + sizeof(tag) - 1, tag_prefix, k) == 0;
}

/* A quoted string or an atom that begins so, and goes on with "/" or ends. Names with
 * octets that would make a literal of them are refused with it. */
static bool
begins(const char *s, const char *end, const char *prefix)
{
	bool quoted = s < end && *s == '"';

	s += quoted;
	for (; *prefix != '\0'; prefix++, s++) {
		if (quoted && s < end && *s == '\\')
			s++;
		if (s >= end || *s != *prefix)
			return false;
	}
	return s < end && (*s == '/' || (quoted ? *s == '"'
						: *s == ' ' || *s == '\r' || *s == '\n'));
}

bool
imap_reply_names(const struct imap_reply *r, const char *prefix)
{
	const char *name, *rest, *end = r->s + r->len;
	size_t n = name_of(r, &name, &rest);

	if (ascii_equal(name, n, "LIST")) {
		/* (attributes) "/" name */
		if (rest >= end || *rest != '(' ||
		    (rest = memchr(rest, ')', (size_t)(end - rest))) == NULL ||
		    end - rest < 7 || memcmp(rest, ") \"/\" ", 6) != 0)
			return false;
		rest += 6;
	}
	return begins(rest, end, prefix);
}

/* The octets of the string at s, 0: it is none, or not whole. */
static size_t
string_len(const char *s, size_t len)
{
	uint64_t n = 0;
	size_t i = 1;

	if (s[0] == '"') {
		for (; i < len && s[i] != '"'; i++) {
			i += s[i] == '\\';
			if (i >= len || s[i] == '\r' || s[i] == '\n' || s[i] == '\0')
				return 0;
		}
		return i < len ? i + 1 : 0;
	}
	for (; i < len && s[i] >= '0' && s[i] <= '9' && n <= len; i++)
		n = 10 * n + (uint64_t)(s[i] - '0');
	if (i == 1 || len - i < 3 || memcmp(s + i, "}\r\n", 3) != 0 || len - i - 3 < n ||
	    memchr(s + i + 3, '\0', n) != NULL)
		return 0;
	return i + 3 + n;
}

bool
imap_reply_is_list(const char *s, size_t len)
{
	size_t depth = 0, n;

	for (size_t i = 0; i < len; i += n) {
		if (i > 0 && depth == 0)
			return false;
		n = 1;
		if (s[i] == '(')
			depth++;
		else if (s[i] == ')' && depth > 0)
			depth--;
		else if (depth == 0)
			return false;
		else if (s[i] == '"' || s[i] == '{') {
			if ((n = string_len(s + i, len - i)) == 0)
				return false;
		} else if (s[i] != ' ' && !imap_is_atom_char((unsigned char)s[i]))
			return false;
	}
	return len > 0 && depth == 0;
}
