/* SPDX-License-Identifier: ISC */
/* The login machine: the first octet chooses the facts and what authd says. */
#include <event2/buffer.h>
#include <stdint.h>
#include <stdlib.h>

#include "sieved/sieve_login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct login_facts facts = { "mx.example.test", false, false, false };
	void *l;
	bool over = false;
	uint8_t bits;

	if (size == 0)
		return 0;
	bits = *data++;
	size--;
	facts.starttls = bits & 1;
	facts.plain_auth = (bits & 2) != 0;
	if ((l = sieve_login_new(&facts)) == NULL)
		abort();
	while (size > 0 && !over) {
		struct login_sasl sasl;
		size_t piece = bits & 4 ? 1 : size;
		size_t took = sieve_login_input(l, data, piece);

		if (took > piece)
			abort();
		data += took;
		size -= took;
		switch (sieve_login_action(l, &sasl)) {
		case LOGIN_NONE:
			if (took != piece)
				abort();
			break;
		case LOGIN_STARTTLS:
			sieve_login_tls_ready(l);
			break;
		case LOGIN_SASL:
			if ((bits & 8) && sasl.first)
				sieve_login_result(
				    l, LOGIN_CONTINUE, data, size < 9 ? size : 9, "");
			else if (bits & 16) {
				sieve_login_result(l, LOGIN_OK, NULL, 0, "");
				sieve_login_opened(l, (bits & 32) != 0, "x");
				over = (bits & 32) != 0;
			} else
				sieve_login_result(l,
				    bits & 64 ? LOGIN_TEMP : LOGIN_DENIED, NULL, 0, "x");
			break;
		case LOGIN_ABORT:
			break;
		case LOGIN_CLOSE:
			over = true;
			break;
		}
		evbuffer_drain(
		    sieve_login_output(l), evbuffer_get_length(sieve_login_output(l)));
	}
	sieve_login_free(l);
	return 0;
}
