"""The page of `pamt report` in a real browser: it loads, sorts, plays, and runs no one's code."""

import json
import time

import pytest

from tests.pictures.conftest import DURATION_S, HOSTILE_CELL, HOSTILE_NAME, RATE
from tests.support import browser

By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
ActionChains = pytest.importorskip("selenium.webdriver").ActionChains


@pytest.fixture(scope="module")
def pages(pamt, folder, scores):
    """Addresses of pages with sound in either format."""
    for kind in ("flac", "opus"):
        done = pamt("report", scores.name, "-o", f"{kind}.html", "--audio", kind)
        assert done.returncode == 0, done.stderr
    return {kind: (folder / f"{kind}.html").as_uri() for kind in ("flac", "opus")}


@pytest.fixture(scope="module")
def chromium(pages):
    with browser.chromium() as driver:
        yield driver


@pytest.fixture
def page(chromium, pages):
    """The page as it is after loading; afterwards, nothing may have gone wrong in it."""
    browser.resize(chromium, browser.DESKTOP)
    chromium.get(pages["flac"])
    chromium.get_log("performance")
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def cells(page, column):
    found = page.find_elements(By.CSS_SELECTOR, f"td[data-label='{column}']")
    return [cell.get_attribute("textContent").strip() for cell in found]


def header(page, name):
    (found,) = [x for x in page.find_elements(By.CSS_SELECTOR, "th") if x.text.split()[0] == name]
    return found


def until(page, condition, *arguments):
    """Wait for a JavaScript condition, and give its value."""
    for _ in range(200):
        if value := page.execute_script(f"return {condition}", *arguments):
            return value
        time.sleep(0.05)
    raise AssertionError(f"never: {condition}")


def open_pair(page, test="noisy.wav"):
    """Open a pair by keyboard, and wait for its sound."""
    (button,) = [x for x in page.find_elements(By.CSS_SELECTOR, ".open") if x.text == test]
    page.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    until(page, "view.player !== null")


def press(page, *keys):
    ActionChains(page).send_keys(*keys).perform()


class TestTable:
    def test_begins_with_the_most_different(self, page):
        distances = cells(page, "distance")
        assert distances[-1] == "failed"
        numbers = [float(x) for x in distances[:-1]]
        assert numbers == sorted(numbers, reverse=True)
        assert header(page, "distance").get_attribute("aria-sort") == "descending"

    def test_sorts_numbers_as_numbers_and_leaves_the_failed_last(self, page):
        before = cells(page, "distance")
        header(page, "distance").find_element(By.TAG_NAME, "button").click()
        assert cells(page, "distance") == [*before[-2::-1], "failed"]
        assert header(page, "distance").get_attribute("aria-sort") == "ascending"
        rate = header(page, "rate").find_element(By.TAG_NAME, "button")
        rate.click()
        assert cells(page, "rate") == ["100", "10", "9", ""]
        rate.click()
        assert cells(page, "rate") == ["9", "10", "100", ""]
        row = header(page, "row").find_element(By.TAG_NAME, "button")
        row.send_keys(Keys.ENTER)
        assert cells(page, "row") == ["1", "2", "3", "4"]
        row.send_keys(Keys.SPACE)
        assert cells(page, "row") == ["4", "3", "2", "1"]
        assert header(page, "distance").get_attribute("aria-sort") == "none"

    def test_sorts_words(self, page):
        header(page, "test").find_element(By.TAG_NAME, "button").click()
        assert cells(page, "test") == [HOSTILE_NAME, "gone.wav", "late.wav", "noisy.wav"]

    def test_filters(self, page):
        page.find_element(By.ID, "filter").send_keys("LATE")
        shown = [x.text for x in page.find_elements(By.CSS_SELECTOR, "td.test") if x.text]
        assert shown == ["late.wav"]
        assert page.find_element(By.ID, "matches").text == "1 shown"

    def test_a_failed_pair_keeps_its_reason_and_cannot_be_opened(self, page):
        row = page.find_element(By.CSS_SELECTOR, "tr.failed")
        assert "there is no such file" in row.text
        assert row.find_elements(By.TAG_NAME, "button") == []


class TestPlaying:
    def test_space_plays_and_pauses_and_the_cursor_moves(self, page):
        open_pair(page)
        page.find_element(By.ID, "loop").click()  # so that a slow machine does not miss the end
        page.find_element(By.ID, "stack").send_keys(Keys.SPACE)
        started = until(page, "view.player.position > 0.1 && view.context.currentTime")
        until(page, "view.context.currentTime > arguments[0] + 0.2", started)
        assert page.find_element(By.ID, "play").text == "Pause"
        cursor = "parseFloat(document.getElementById('cursor').style.left)"
        moved = page.execute_script(f"return {cursor}")
        until(page, f"Math.abs({cursor} - arguments[0]) > 5", moved)
        press(page, Keys.SPACE)
        at = page.execute_script("return view.player.position")
        assert 0.0 < at < DURATION_S
        assert page.execute_script(f"return {cursor}") == pytest.approx(
            100 * at / DURATION_S, abs=0.1
        )
        assert page.find_element(By.ID, "play").text == "Play"

    def test_ends_at_the_end_and_begins_again(self, page):
        open_pair(page)
        press(page, Keys.END, Keys.ARROW_LEFT, Keys.SPACE)
        until(page, "view.player.playing && view.player.position > 0.6")
        until(page, "!view.player.playing")
        assert page.execute_script("return view.player.position") == 0

    def test_loop_goes_on(self, page):
        open_pair(page)
        page.find_element(By.ID, "loop").click()
        page.find_element(By.ID, "stack").send_keys(Keys.END, Keys.ARROW_LEFT, Keys.SPACE)
        begun = page.execute_script("return view.context.currentTime")
        until(page, "view.context.currentTime > arguments[0] + 1.3", begun)
        assert page.execute_script("return view.player.playing && view.player.position < 1.3")

    def test_keys_and_buttons_choose_the_side(self, page):
        open_pair(page)
        press(page, Keys.SPACE)
        chosen = "document.querySelector('input[name=side]:checked').value"
        gains = "[view.player.voices.gains.reference.value, view.player.voices.gains.test.value]"
        press(page, "b")
        assert page.execute_script(f"return {chosen}") == "test"
        until(page, f"{gains}.join() === '0,1'")
        press(page, "x")
        assert page.execute_script(f"return {chosen}") == "reference"
        page.find_element(By.CSS_SELECTOR, "input[value=test] + span").click()
        assert page.execute_script("return view.player.side") == "test"
        press(page, Keys.ARROW_LEFT)  # the button's own arrows, as of any pair of radio buttons
        assert page.execute_script("return view.player.side") == "reference"

    def test_click_on_the_map_plays_from_there(self, page):
        open_pair(page)
        box = page.find_element(By.ID, "map-difference")
        width = box.size["width"]
        ActionChains(page).move_to_element_with_offset(box, -width // 4, 0).click().perform()
        offset = page.execute_script("return view.player.playing && view.player.offset")
        total = page.execute_script("return view.player.duration")
        assert total == pytest.approx(DURATION_S)
        assert offset == pytest.approx(0.25 * total, abs=2 * total / width)
        assert "local distance" in page.find_element(By.ID, "readout").text

    @pytest.mark.parametrize("kind", ["flac", "opus"])
    def test_switching_leaves_no_gap(self, page, pages, kind):
        """Render the player's own graph: before the switch the one clip, after it the other."""
        page.get(pages[kind])
        open_pair(page)
        found = page.execute_async_script(
            """
            const done = arguments[0];
            (async () => {
              const rate = 48000, at = 0.5;
              const context = new OfflineAudioContext(1, rate, rate);
              const player = new Player(context, view.player.clips);
              context.suspend(at).then(() => { player.choose("test"); context.resume(); });
              player.play();
              const heard = (await context.startRendering()).getChannelData(0);
              const lead = Math.round(Player.LEAD_S * rate);
              const fade = Math.round(Player.FADE_S * rate);
              const one = view.player.clips.reference.getChannelData(0);
              const other = view.player.clips.test.getChannelData(0);
              const worst = (clip, from, to) => {
                let most = 0;
                for (let i = from; i < to; i++) {
                  most = Math.max(most, Math.abs(heard[i] - clip[i - lead]));
                }
                return most;
              };
              const cut = at * rate;
              let fading = 0;
              for (let i = cut; i < cut + fade + 128; i++) {
                const [low, high] = [one[i - lead], other[i - lead]].sort((a, b) => a - b);
                fading = Math.max(fading, low - heard[i], heard[i] - high);
              }
              done({
                before: worst(one, lead + fade + 1, cut),
                after: worst(other, cut + fade + 129, rate),
                fading,
                apart: worst(one, cut + fade + 129, rate),
                lengths: [one.length, other.length],
              });
            })();
            """
        )
        n_samples = round(DURATION_S * RATE)
        assert found["lengths"] == [n_samples, n_samples]
        assert found["apart"] > 0.01  # the two clips can be told apart at all
        # A gain of 1 in single precision, and a source that starts between two samples.
        assert max(found["before"], found["after"], found["fading"]) < 1e-3

    def test_both_clips_begin_together(self, page):
        """The late copy at half level, as it is heard: start and level of the reference."""
        open_pair(page, "late.wav")
        found = page.execute_script(
            """
            const one = view.player.clips.reference.getChannelData(0);
            const other = view.player.clips.test.getChannelData(0);
            let apart = 0, loud = 0;
            for (let i = 0; i < one.length; i++) {
              apart += (one[i] - other[i]) ** 2;
              loud += one[i] ** 2;
            }
            return [apart / loud, one.length];
            """
        )
        # 16-bit samples, and loudness that the silence before the copy makes no different by 0.1 dB
        assert found[0] < 1e-3
        assert found[1] == round(DURATION_S * RATE)


class TestPage:
    def test_needs_no_network(self, chromium, pages):
        chromium.get_log("performance")
        chromium.get(pages["flac"])
        open_pair(chromium)
        messages = [json.loads(x["message"])["message"] for x in chromium.get_log("performance")]
        requests = [
            x["params"]["request"]["url"]
            for x in messages
            if "requestWillBeSent" in x["method"] and "request" in x["params"]
        ]
        assert requests == [pages["flac"]]

    def test_runs_no_code_of_a_name_or_a_cell(self, page):
        assert HOSTILE_NAME in cells(page, "test")
        assert HOSTILE_CELL in cells(page, "take")
        open_pair(page, HOSTILE_NAME)
        assert page.find_element(By.ID, "view-title").text == HOSTILE_NAME
        assert (
            page.execute_script("return document.querySelectorAll('img, script[src]').length") == 0
        )
        assert page.execute_script("return window.hacked") is None

    def test_policy_stops_code_that_got_in_all_the_same(self, chromium, pages):
        chromium.get(pages["flac"])
        chromium.execute_script(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hacked=1>');"
            "const script = document.createElement('script');"
            "script.textContent = 'window.hacked=1'; document.body.append(script);"
            "setTimeout(() => { window.waited = 1 }, 200);"
        )
        until(chromium, "window.waited")
        assert chromium.execute_script("return window.hacked") is None
        refused = [x["message"] for x in chromium.get_log("browser")]
        assert any("Content Security Policy" in message for message in refused)

    def test_fits_a_phone(self, page):
        browser.resize(page, browser.PHONE)
        width = "document.documentElement.scrollWidth"
        assert page.execute_script(f"return {width}") <= browser.PHONE[0]
        open_pair(page, HOSTILE_NAME)
        assert page.execute_script(f"return {width}") <= browser.PHONE[0]
        dialog = page.find_element(By.ID, "view")
        assert page.execute_script("return arguments[0].scrollWidth <= innerWidth", dialog)
        for name in ("play", "close", "next"):
            assert page.find_element(By.ID, name).size["height"] >= 40  # what a thumb hits

    def test_steps_through_the_pairs_and_gives_the_focus_back(self, page):
        open_pair(page)
        order = [x.text for x in page.find_elements(By.CSS_SELECTOR, ".open")]
        place = order.index("noisy.wav")
        page.find_element(By.ID, "next").click()
        following = order[(place + 1) % len(order)]
        assert page.find_element(By.ID, "view-title").text == following
        press(page, Keys.ESCAPE)
        # A dialog says that it has closed in a task of its own, after the key was handled.
        until(page, "!document.getElementById('view').open")
        until(page, "document.activeElement.textContent.trim() === arguments[0]", following)
