#include <erl_nif.h>
#include <time.h>

static ERL_NIF_TERM block(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    unsigned millis;
    if (!enif_get_uint(env, argv[0], &millis))
        return enif_make_badarg(env);
    struct timespec time = {millis / 1000, millis % 1000 * 1000000L};
    nanosleep(&time, NULL);
    return enif_make_atom(env, "ok");
}

static ErlNifFunc functions[] = {{"block", 1, block}};
ERL_NIF_INIT(live_block, functions, NULL, NULL, NULL, NULL)
