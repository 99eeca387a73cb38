"""The store on disk: LanceDB tables and a manifest in one `.mmsearch` folder."""
