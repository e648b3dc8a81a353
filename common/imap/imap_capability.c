/* SPDX-License-Identifier: ISC */
/* What CAPABILITY tells only sometimes; see imap_capability.h. */
#include "common/imap/imap_capability.h"

#include <stdio.h>

const char *
imap_offer_print(const struct imap_offer *o, char out[IMAP_OFFER_MAX])
{
	char limit[40] = "";

	if (o->message_limit != 0)
		(void)snprintf(
		    limit, sizeof(limit), " MESSAGELIMIT=%u", o->message_limit);
	else if (o->save_limit != 0)
		(void)snprintf(limit, sizeof(limit), " SAVELIMIT=%u", o->save_limit);
	(void)snprintf(
	    out, IMAP_OFFER_MAX, "%s%s", limit, o->quotaset ? " QUOTASET" : "");
	return out;
}
