"""mmsearch finetune and mmsearch train."""
