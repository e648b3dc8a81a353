/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FUZZ_LOGIN_H
#define FIFE_FUZZ_LOGIN_H

/*
 * What the fuzz targets of the fronts' login machines share. The first octet of the
 * input chooses the facts and what authd says.
 */
#include <event2/buffer.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/front/front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOGIN_MACHINE(p)                                                                \
	{                                                                               \
		.login_new = p##_new, .login_free = p##_free, .login_input = p##_input, \
		.login_tls_ready = p##_tls_ready, .login_result = p##_result,           \
		.login_opened = p##_opened,                                             \
	}

static int
login_fuzz(const struct front_protocol *m, const uint8_t *data, size_t size)
{
	struct login_facts facts = { "mx.example.test", false, false, false };
	struct login *l;
	bool over = false;
	uint8_t bits;

	if (size == 0)
		return 0;
	bits = *data++;
	size--;
	facts.starttls = bits & 1;
	facts.plain_auth = (bits & 2) != 0;
	if ((l = m->login_new(&facts)) == NULL)
		abort();
	while (size > 0 && !over) {
		struct login_sasl sasl;
		size_t piece = bits & 4 ? 1 : size;
		size_t took = m->login_input(l, data, piece);

		if (took > piece)
			abort();
		data += took;
		size -= took;
		switch (login_action(l, &sasl)) {
		case LOGIN_NONE:
			if (took != piece)
				abort();
			break;
		case LOGIN_STARTTLS:
			m->login_tls_ready(l);
			break;
		case LOGIN_SASL:
			if ((bits & 8) && sasl.first)
				m->login_result(
				    l, LOGIN_CONTINUE, data, size < 9 ? size : 9, "");
			else if (bits & 16) {
				m->login_result(l, LOGIN_OK, NULL, 0, "");
				m->login_opened(l, (bits & 32) != 0, "x");
				over = (bits & 32) != 0;
			} else
				m->login_result(l, bits & 64 ? LOGIN_TEMP : LOGIN_DENIED,
				    NULL, 0, "x");
			break;
		case LOGIN_ABORT:
			break;
		case LOGIN_CLOSE:
			over = true;
			break;
		}
		evbuffer_drain(l->out, evbuffer_get_length(l->out));
	}
	m->login_free(l);
	return 0;
}

#endif
