"""A part of a page that runs by itself says what went wrong in its place."""

from streamlit.testing.v1 import AppTest


def test_an_error_takes_the_place_of_its_part_alone():
    def page():
        import streamlit as st

        from app.widgets.problems import fragment
        from ssrnet.errors import DataError

        @fragment
        def part():
            if st.checkbox("Break"):
                raise DataError("the folder is gone; name another.")
            st.text("whole")

        part()
        st.text("the rest")

    test = AppTest.from_function(page).run()
    assert [text.value for text in test.text] == ["whole", "the rest"] and not test.error
    test.checkbox[0].check().run()
    assert [text.value for text in test.text] == ["the rest"]
    assert test.error[0].value == "the folder is gone; name another." and not test.exception
