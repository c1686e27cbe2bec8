"""The router: builds the navigation for whoever signed in, draws the common frame, runs the page."""

from pathlib import Path

import streamlit as st

from workbench.ui.frame import PAGES, sidebar_mark
from workbench.ui.session import open_session, theme
from workbench.ui.style import page_style
from workbench.ui.texts import t

mark = Path(__file__).parent / "ui" / "mark.svg"
st.set_page_config(page_title="Guarantee Risk Workbench", page_icon=str(mark), layout="wide")
st.html(f"<style>{page_style(theme())}</style>")

if open_session() is None:
    st.html('<script>window.location.replace("/sign-in")</script>', unsafe_allow_javascript=True)
    st.stop()

sidebar_mark()
page = st.navigation(
    {
        "": [st.Page(PAGES["home"], title=t("Overview"), icon=":material/home:", default=True)],
        t("Build"): [
            st.Page(PAGES["data"], title=t("Data"), icon=":material/database:"),
            st.Page(PAGES["data_model"], title=t("Tables"), icon=":material/schema:"),
            st.Page(PAGES["quality"], title=t("Quality"), icon=":material/fact_check:"),
            st.Page(PAGES["catalogue"], title=t("Catalogue"), icon=":material/menu_book:"),
            st.Page(PAGES["standard"], title=t("Data standard"), icon=":material/rule_folder:"),
            st.Page(PAGES["label"], title=t("Label"), icon=":material/flag:"),
            st.Page(PAGES["features"], title=t("Features"), icon=":material/account_tree:"),
            st.Page(PAGES["train"], title=t("Train"), icon=":material/model_training:"),
            st.Page(PAGES["evaluate"], title=t("Evaluate"), icon=":material/analytics:"),
            st.Page(PAGES["explain"], title=t("Explain"), icon=":material/lightbulb:"),
            st.Page(PAGES["reasons"], title=t("Reason codes"), icon=":material/record_voice_over:"),
            st.Page(PAGES["scorecard"], title=t("Scorecard"), icon=":material/scoreboard:"),
            st.Page(PAGES["economics"], title=t("Economics"), icon=":material/savings:"),
        ],
        t("Release"): [
            st.Page(PAGES["review"], title=t("Review"), icon=":material/rule:"),
            st.Page(PAGES["deploy"], title=t("Deploy"), icon=":material/rocket_launch:"),
            st.Page(PAGES["traffic"], title=t("Traffic"), icon=":material/speed:"),
            st.Page(PAGES["monitor"], title=t("Monitor"), icon=":material/monitoring:"),
            st.Page(PAGES["schedules"], title=t("Schedules"), icon=":material/schedule:"),
        ],
    },
    expanded=True,  # all pages in sight, whatever their number
)
page.run()
