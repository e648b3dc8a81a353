/* SPDX-License-Identifier: ISC */
/* Mailbox names and strings between IMAP's wire and the store (RFC 3501, 5.1.3). */
#include <event2/buffer.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap.h"

int
imap_mailbox(struct imap_args *a, char name[STORE_NAME_MAX + 1], const char **no)
{
	struct imap_str s;
	int n;

	*no = NULL;
	if (imap_astring(a, &s) == -1)
		return -1;
	if (s.len == 0 ||
	    (n = utf7_to_utf8(s.s, s.len, name, STORE_NAME_MAX + 1)) == -1) {
		*no = "[CANNOT] Invalid mailbox name";
		name[0] = '\0';
		return 0;
	}
	/* A trailing separator only says that children are planned (RFC 3501, 6.3.3). */
	if (n > 1 && name[n - 1] == '/')
		name[n - 1] = '\0';
	return 0;
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
imap_print_nstring(struct evbuffer *out, const char *s)
{
	if (s == NULL)
		evbuffer_add(out, "NIL", 3);
	else
		imap_print_string(out, s, strlen(s));
}

void
imap_print_mailbox(struct evbuffer *out, const char *name)
{
	char wire[STORE_NAME_MAX * 4 + 1];
	int n = utf7_from_utf8(name, strlen(name), wire, sizeof(wire));
	bool atom = n > 0;

	if (n == -1) /* not UTF-8: cannot happen for names of the store */
		n = (int)strlcpy(wire, "?", sizeof(wire));
	for (int i = 0; i < n && atom; i++)
		atom = imap_is_atom_char((unsigned char)wire[i]);
	if (atom)
		evbuffer_add(out, wire, (size_t)n);
	else
		imap_print_string(out, wire, (size_t)n);
}
