%% Whether erlang:memory/1 works. Under the address sanitizer the VM takes each of its blocks from malloc, and counts
%% none.
-module(vm_memory).
-export([counted/1]).

%% For `init_per_testcase/2' of what measures it.
counted(Prepare) ->
    try erlang:memory(total) of
        _ -> Prepare()
    catch
        error:notsup -> {skip, "this VM counts none of its memory"}
    end.
