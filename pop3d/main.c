/* SPDX-License-Identifier: ISC */
/* pop3d(8): the front of POP3. All it knows of the protocol is the login. */
#include "pop3d/pop3_login.h"

static const struct front_protocol pop3 = {
	.role = ROLE_POP3D,
	.service = SERVICE_POP3,
	.kind = LISTENER_POP3,
	.name = "pop3",
	.too_many = "-ERR [SYS/TEMP] too many connections, try again later\r\n",
	.stopping = "",
	.ended = "",
	.idle = "",
	.login_new = pop3_login_new,
	.login_free = pop3_login_free,
	.login_input = pop3_login_input,
	.login_tls_ready = pop3_login_tls_ready,
	.login_result = pop3_login_result,
	.login_opened = pop3_login_opened,
	.login_hello = pop3_login_hello,
	.login_bye = pop3_login_bye,
};

int
main(void)
{
	return front_run(&pop3);
}
