/* SPDX-License-Identifier: ISC */
/* The login machine of pop3d. */
#include "pop3d/pop3_login.h"

#include "regress/fuzz/login.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct front_protocol machine = LOGIN_MACHINE(pop3_login);

	return login_fuzz(&machine, data, size);
}
