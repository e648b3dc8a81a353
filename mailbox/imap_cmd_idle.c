/* SPDX-License-Identifier: ISC */
/* IDLE (RFC 2177): changes are told as they happen, until a line "DONE". */
#include <event2/buffer.h>

#include "common/proto/encoding.h"
#include "mailbox/imap.h"

void
imap_cmd_idle(struct imap *s, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	evbuffer_add_printf(s->out, "+ idling\r\n");
	s->idling = true;
	s->woken = false;
	if (s->notify == NULL)
		s->watched++;
	if (s->folder != NULL) {
		folder_refresh(s->folder);
		imap_view_sync(s, true);
	}
}

void
imap_idle_line(struct imap *s, const char *line, size_t len)
{
	s->idling = false;
	if (s->notify == NULL)
		s->watched++;
	if (ascii_equal(line, len, "DONE"))
		imap_ok(s, "IDLE completed");
	else
		imap_bad(s, "DONE expected");
}
