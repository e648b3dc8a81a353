/* SPDX-License-Identifier: ISC */
/* sieved(8): the front of ManageSieve. All it knows of the protocol is the login. */
#include "sieved/sieve_login.h"

static const struct front_protocol managesieve = {
	.role = ROLE_SIEVED,
	.service = SERVICE_SIEVE,
	.kind = LISTENER_SIEVE,
	.name = "managesieve",
	.too_many = "BYE (TRYLATER) \"too many connections, try again later\"\r\n",
	.stopping = "BYE (TRYLATER) \"the server stops\"\r\n",
	.ended = "BYE \"the login has ended\"\r\n",
	.idle = "BYE \"idle for too long\"\r\n",
	.login_new = sieve_login_new,
	.login_free = sieve_login_free,
	.login_input = sieve_login_input,
	.login_tls_ready = sieve_login_tls_ready,
	.login_result = sieve_login_result,
	.login_opened = sieve_login_opened,
	.login_bye = sieve_login_bye,
};

int
main(void)
{
	return front_run(&managesieve);
}
