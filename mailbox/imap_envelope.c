/* SPDX-License-Identifier: ISC */
/* ENVELOPE (RFC 3501, 7.4.2): the header's fields as they stand, unfolded but not
 * decoded. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/addrlist.h"
#include "common/proto/header.h"
#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"

#define FIELD_MAX 65536 /* of one value; the rest is cut */

enum {
	DATE,
	SUBJECT,
	FROM,
	SENDER,
	REPLY_TO,
	TO,
	CC,
	BCC,
	IN_REPLY_TO,
	MESSAGE_ID,
	N_FIELDS
};

static const char *const names[N_FIELDS] = { "Date", "Subject", "From", "Sender",
	"Reply-To", "To", "Cc", "Bcc", "In-Reply-To", "Message-ID" };

struct envelope {
	struct header_field first[N_FIELDS]; /* name NULL: absent */
	const char *header;
	size_t len;
};

static void
print_text(struct evbuffer *out, const struct header_field *f)
{
	char buf[1024], *text = buf;
	size_t cap = sizeof(buf),
	       len = f->value_len < FIELD_MAX ? f->value_len : FIELD_MAX;

	if (f->name == NULL) {
		evbuffer_add(out, "NIL", 3);
		return;
	}
	if (len >= cap) {
		cap = len + 1;
		if ((text = malloc(cap)) == NULL) {
			evbuffer_add(out, "NIL", 3);
			return;
		}
	}
	len = header_unfold(f->value, len, text, cap);
	imap_print_string(out, text, len);
	if (text != buf)
		free(text);
}

static void
print_item(struct evbuffer *out, const struct addrlist_item *it)
{
	switch (it->kind) {
	case ADDRLIST_GROUP:
		evbuffer_add(out, "(NIL NIL ", 9);
		imap_print_nstring(out, it->name);
		evbuffer_add(out, " NIL)", 5);
		break;
	case ADDRLIST_GROUP_END:
		evbuffer_add(out, "(NIL NIL NIL NIL)", 17);
		break;
	case ADDRLIST_MAILBOX:
		evbuffer_add(out, "(", 1);
		imap_print_nstring(out, it->has_name ? it->name : NULL);
		evbuffer_add(out, " ", 1);
		imap_print_nstring(out, it->has_route ? it->route : NULL);
		evbuffer_add(out, " ", 1);
		imap_print_nstring(out, it->local);
		evbuffer_add(out, " ", 1);
		/* NIL would make it a group. */
		imap_print_nstring(out, it->has_host ? it->host : "");
		evbuffer_add(out, ")", 1);
	}
}

/* All fields of that name as one list; returns the number of items. */
static size_t
print_addresses(struct evbuffer *out, const struct envelope *e, int which)
{
	struct header_scan scan;
	struct header_field f;
	struct addrlist l;
	struct addrlist_item it;
	size_t n = 0;

	if (e->first[which].name == NULL)
		return 0;
	header_scan_init(&scan, e->header, e->len, true);
	while (header_next(&scan, &f) == HEADER_FIELD) {
		if (f.name_len == 0 || !header_name_is(&f, names[which]))
			continue;
		addrlist_init(
		    &l, f.value, f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX);
		while (addrlist_next(&l, &it) == 1) {
			if (n++ == 0)
				evbuffer_add(out, "(", 1);
			print_item(out, &it);
		}
	}
	if (n > 0)
		evbuffer_add(out, ")", 1);
	return n;
}

void
imap_print_envelope(struct evbuffer *out, const char *header, size_t len)
{
	struct envelope e = { .header = header, .len = len };
	struct header_scan scan;
	struct header_field f;

	header_scan_init(&scan, header, len, true);
	while (header_next(&scan, &f) == HEADER_FIELD)
		for (int i = 0; i < N_FIELDS; i++)
			if (f.name_len > 0 && e.first[i].name == NULL &&
			    header_name_is(&f, names[i]))
				e.first[i] = f;
	evbuffer_add(out, "(", 1);
	for (int i = 0; i < N_FIELDS; i++) {
		if (i > 0)
			evbuffer_add(out, " ", 1);
		if (i < FROM || i > BCC) {
			print_text(out, &e.first[i]);
			continue;
		}
		if (print_addresses(out, &e, i) > 0)
			continue;
		/* A missing Sender or Reply-To is From's (RFC 3501, 7.4.2). */
		if ((i != SENDER && i != REPLY_TO) || print_addresses(out, &e, FROM) == 0)
			evbuffer_add(out, "NIL", 3);
	}
	evbuffer_add(out, ")", 1);
}
