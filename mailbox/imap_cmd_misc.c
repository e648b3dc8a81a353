/* SPDX-License-Identifier: ISC */
/* NOOP, CHECK, LOGOUT, ID (RFC 2971), NAMESPACE (RFC 2342), COMPRESS (RFC 4978),
 * UNAUTHENTICATE (RFC 8437). */
#include <event2/buffer.h>

#include "mailbox/imap.h"
#include "mailbox/imap_share.h"

static void
refreshed(struct imap *s, struct imap_args *a, const char *text)
{
	if (imap_end(a) == -1)
		return;
	if (s->folder != NULL)
		folder_refresh(s->folder);
	imap_ok(s, "%s", text);
}

void
imap_cmd_noop(struct imap *s, struct imap_args *a)
{
	refreshed(s, a, "NOOP completed");
}

void
imap_cmd_check(struct imap *s, struct imap_args *a)
{
	store_flush(s->store);
	refreshed(s, a, "CHECK completed");
}

void
imap_cmd_logout(struct imap *s, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	imap_untagged(s, "BYE Logging out");
	/* Nothing untagged may come between: the folder is let go first. */
	imap_view_close(s);
	imap_ok(s, "LOGOUT completed");
	s->state = IMAP_ENDED;
}

/* Nothing is expunged, and nothing of this session stays (RFC 8437). */
void
imap_cmd_unauthenticate(struct imap *s, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	imap_view_close(s);
	imap_ok(s, "UNAUTHENTICATE completed");
	s->unauthenticated = true;
	s->state = IMAP_ENDED;
}

void
imap_cmd_id(struct imap *s, struct imap_args *a)
{
	struct imap_str v;

	if (imap_sp(a) == -1)
		return;
	if (imap_try_char(a, '(')) {
		for (int i = 0; !imap_try_char(a, ')'); i++) {
			if (i == 60) { /* 30 fields: RFC 2971, 3.3 */
				imap_fail(a, "Too many fields");
				return;
			}
			if ((i > 0 && imap_sp(a) == -1) || imap_astring(a, &v) == -1)
				return;
		}
	} else if (imap_atom(a, &v) == -1 || !imap_str_is(&v, "NIL")) {
		imap_fail(a, "NIL or a list expected");
		return;
	}
	if (imap_end(a) == -1)
		return;
	imap_untagged(s, "ID (\"name\" \"fife\")");
	imap_ok(s, "ID completed");
}

void
imap_cmd_compress(struct imap *s, struct imap_args *a)
{
	struct imap_str v;

	if (imap_sp(a) == -1 || imap_atom(a, &v) == -1 || imap_end(a) == -1)
		return;
	if (!imap_str_is(&v, "DEFLATE"))
		imap_fail(a, "Unknown compression");
	else if (s->compress != IMAP_PLAIN)
		imap_no(s, "[COMPRESSIONACTIVE] DEFLATE is active already");
	else {
		imap_ok(s, "DEFLATE active");
		s->compress = IMAP_SWITCHING;
	}
}

void
imap_cmd_namespace(struct imap *s, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	evbuffer_add_printf(s->out, "* NAMESPACE ((\"\" \"/\")) ");
	if (s->share != NULL && s->share->prefix[0] != '\0')
		evbuffer_add_printf(s->out, "((\"%s/\" \"/\"))", s->share->prefix);
	else
		evbuffer_add(s->out, "NIL", 3);
	evbuffer_add_printf(s->out, " NIL\r\n");
	imap_ok(s, "NAMESPACE completed");
}
