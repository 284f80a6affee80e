Code.require_file("../live/support/guide.ex", __DIR__)
Code.require_file("plug_router.ex", __DIR__)
Code.require_file("some_project.ex", __DIR__)
ExUnit.start()
