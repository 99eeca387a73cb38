"""mmsearch models: lists models, and moves a store to another one."""
