/* SPDX-License-Identifier: ISC */
/* CAPABILITY and ENABLE (RFC 5161): what a client wants to be told from now on. */
#include <event2/buffer.h>

#include "common/imap/imap_capability.h"
#include "mailbox/imap.h"

static const struct {
	const char *name;
	unsigned int bits;
} extensions[] = {
	{ "CONDSTORE", IMAP_CONDSTORE },
	{ "QRESYNC", IMAP_QRESYNC | IMAP_CONDSTORE },
	{ "UTF8=ACCEPT", IMAP_UTF8 },
	{ "IMAP4rev2", IMAP_REV2 },
	{ "UIDONLY", IMAP_UIDONLY },
};
#define N_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

void
imap_cmd_capability(struct imap *s, struct imap_args *a)
{
	char more[IMAP_OFFER_MAX];

	if (imap_end(a) == -1)
		return;
	imap_untagged(s, "CAPABILITY " IMAP_CAPABILITY_LOGGED_IN "%s",
	    imap_offer_print(&s->offer, more));
	imap_ok(s, "CAPABILITY completed");
}

void
imap_use_condstore(struct imap *s)
{
	if (s->enabled & IMAP_CONDSTORE)
		return;
	s->enabled |= IMAP_CONDSTORE;
	/* RFC 7162, 3.1.2: later changes are seen against this. */
	if (s->folder != NULL)
		imap_untagged(s, "OK [HIGHESTMODSEQ %llu] Highest",
		    (unsigned long long)folder_highestmodseq(s->folder));
}

/* Unknown names are passed over; what is on already is not named again. */
void
imap_cmd_enable(struct imap *s, struct imap_args *a)
{
	unsigned int want = 0;
	struct imap_str v;

	do {
		if (imap_sp(a) == -1 || imap_atom(a, &v) == -1)
			return;
		for (size_t i = 0; i < N_EXTENSIONS; i++)
			if (imap_str_is(&v, extensions[i].name))
				want |= 1u << i;
	} while (imap_peek(a) != -1);
	evbuffer_add_printf(s->out, "* ENABLED");
	for (size_t i = 0; i < N_EXTENSIONS; i++)
		if ((want & 1u << i) &&
		    (s->enabled & extensions[i].bits) != extensions[i].bits)
			evbuffer_add_printf(s->out, " %s", extensions[i].name);
	evbuffer_add(s->out, "\r\n", 2);
	for (size_t i = 0; i < N_EXTENSIONS; i++)
		if (want & 1u << i) {
			if (extensions[i].bits & IMAP_CONDSTORE)
				imap_use_condstore(s);
			s->enabled |= extensions[i].bits;
		}
	imap_ok(s, "ENABLE completed");
}
