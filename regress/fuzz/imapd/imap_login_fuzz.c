/* SPDX-License-Identifier: ISC */
/* The login machine of imapd. */
#include "imapd/imap_login.h"

#include "regress/fuzz/login.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct front_protocol machine = LOGIN_MACHINE(imap_login);

	return login_fuzz(&machine, data, size);
}
