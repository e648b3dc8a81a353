/* SPDX-License-Identifier: ISC */
/* Mailbox names and strings between IMAP's wire and the store (RFC 3501, 5.1.3). */
#include <event2/buffer.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"

bool
imap_names_are_utf8(const struct imap *s)
{
	return (s->enabled & (IMAP_UTF8 | IMAP_REV2)) != 0;
}

static int
to_utf8(struct imap *s, const struct imap_str *v, char *name)
{
	if (!imap_names_are_utf8(s))
		return utf7_to_utf8(v->s, v->len, name, STORE_NAME_MAX + 1);
	if (!utf8_valid(v->s, v->len) || imap_str_copy(v, name, STORE_NAME_MAX + 1) == -1)
		return -1;
	return (int)v->len;
}

void
imap_mailbox_name(struct imap *s, const struct imap_str *v, char name[STORE_NAME_MAX + 1],
    const char **no)
{
	int n;

	*no = NULL;
	if (v->len == 0 || (n = to_utf8(s, v, name)) == -1) {
		*no = "[CANNOT] Invalid mailbox name";
		name[0] = '\0';
		return;
	}
	/* A trailing separator only says that children are planned (RFC 3501, 6.3.3). */
	if (n > 1 && name[n - 1] == '/')
		name[n - 1] = '\0';
	if (s->guest != NULL && imap_guest_strip(s->guest, name) == -1)
		*no = "[NONEXISTENT] No such mailbox or message";
}

int
imap_mailbox(
    struct imap *s, struct imap_args *a, char name[STORE_NAME_MAX + 1], const char **no)
{
	struct imap_str v;

	*no = NULL;
	if (imap_astring(a, &v) == -1)
		return -1;
	imap_mailbox_name(s, &v, name, no);
	return 0;
}

static void
print_quoted(struct evbuffer *out, const char *s, size_t len)
{
	evbuffer_add(out, "\"", 1);
	for (size_t i = 0, start = 0; i <= len; i++)
		if (i == len || s[i] == '"' || s[i] == '\\') {
			evbuffer_add(out, s + start, i - start);
			if (i < len)
				evbuffer_add(out, "\\", 1);
			start = i;
		}
	evbuffer_add(out, "\"", 1);
}

void
imap_print_string(struct evbuffer *out, const char *s, size_t len)
{
	bool quotable = len <= 1000;

	for (size_t i = 0; i < len && quotable; i++) {
		unsigned char c = (unsigned char)s[i];

		quotable = (c >= 0x20 && c < 0x7f) || c == '\t';
	}
	if (!quotable) {
		evbuffer_add_printf(out, "{%zu}\r\n", len);
		evbuffer_add(out, s, len);
		return;
	}
	print_quoted(out, s, len);
}

void
imap_print_nstring(struct evbuffer *out, const char *s)
{
	if (s == NULL)
		evbuffer_add(out, "NIL", 3);
	else
		imap_print_string(out, s, strlen(s));
}

void
imap_print_mailbox(struct imap *s, const char *name)
{
	imap_print_mailbox_to(s, name, s->out);
}

void
imap_print_mailbox_to(struct imap *s, const char *name, struct evbuffer *out)
{
	char wire[IMAP_GUEST_NAME_MAX * 4 + 1], full[IMAP_GUEST_NAME_MAX + 1];
	int n;
	bool atom;

	if (s->guest != NULL) {
		imap_guest_name(s->guest, name, full);
		name = full;
	}
	if (imap_names_are_utf8(s))
		n = (int)strlcpy(wire, name, sizeof(wire));
	else
		n = utf7_from_utf8(name, strlen(name), wire, sizeof(wire));
	if (n == -1) /* not UTF-8: cannot happen for names of the store */
		n = (int)strlcpy(wire, "?", sizeof(wire));
	/* What some clients would read as something else goes in quotes. */
	atom = n > 0 && !ascii_equal(wire, (size_t)n, "NIL");
	for (int i = 0; i < n && atom; i++)
		atom = imap_is_atom_char((unsigned char)wire[i]);
	if (atom)
		evbuffer_add(out, wire, (size_t)n);
	else
		print_quoted(out, wire, (size_t)n);
}
