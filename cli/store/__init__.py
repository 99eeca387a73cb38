"""mmsearch index and mmsearch info."""
