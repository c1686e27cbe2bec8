"""The only Streamlit code beside the pages: frame, charts, tables, texts, progress and session keys."""
