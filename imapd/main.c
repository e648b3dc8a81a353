/* SPDX-License-Identifier: ISC */
/* imapd(8): the front of IMAP. All it knows of the protocol is the login. */
#include "imapd/imap_login.h"

static const struct front_protocol imap = {
	.role = ROLE_IMAPD,
	.service = SERVICE_IMAP,
	.kind = LISTENER_IMAP,
	.name = "imap",
	.too_many = "* BYE [LIMIT] Too many connections, try again later\r\n",
	.stopping = "* BYE Server is stopping\r\n",
	.ended = "* BYE Logged out: the account or its password has changed\r\n",
	.idle = "* BYE Autologout; idle for too long\r\n",
	.unauthenticates = true,
	.login_new = imap_login_new,
	.login_free = imap_login_free,
	.login_input = imap_login_input,
	.login_tls_ready = imap_login_tls_ready,
	.login_result = imap_login_result,
	.login_opened = imap_login_opened,
	.login_bye = imap_login_bye,
};

int
main(void)
{
	return front_run(&imap);
}
