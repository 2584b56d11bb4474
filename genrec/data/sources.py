"""The public data sets that `genrec data get` knows, where their publishers keep them and how large they are.

Nothing of them is part of this package. Each has terms of its own, mostly research use only: see its `page`.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE_URLS = {
    "movielens": "https://files.grouplens.org/datasets/movielens/",
    "amazon2014": "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/",
    "amazon2023": "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw/",
}

_MOVIELENS = {
    "ml-100k": ("100,000 ratings of 1,682 films by 943 users, 1997 to 1998; 5 MB", "100k"),
    "ml-1m": ("1,000,209 ratings of 3,706 films by 6,040 users, 2000 to 2003; 6 MB", "1m"),
    "ml-latest-small": (
        "about 100,000 ratings of 9,700 films by 600 users; renewed now and then; 1 MB",
        "latest",
    ),
    "ml-25m": ("25,000,095 ratings of 59,047 films by 162,541 users, 1995 to 2019; 262 MB", "25m"),
    "ml-32m": ("32,000,204 ratings of 84,432 films by 200,948 users, 1995 to 2023; 239 MB", "32m"),
}

# Reviews in the 5-core file: every user and item has at least five.
_AMAZON_2014 = {
    "Amazon_Instant_Video": "37,126",
    "Apps_for_Android": "752,937",
    "Automotive": "20,473",
    "Baby": "160,792",
    "Beauty": "198,502",
    "Books": "8,898,041",
    "CDs_and_Vinyl": "1,097,592",
    "Cell_Phones_and_Accessories": "194,439",
    "Clothing_Shoes_and_Jewelry": "278,677",
    "Digital_Music": "64,706",
    "Electronics": "1,689,188",
    "Grocery_and_Gourmet_Food": "151,254",
    "Health_and_Personal_Care": "346,355",
    "Home_and_Kitchen": "551,682",
    "Kindle_Store": "982,619",
    "Movies_and_TV": "1,697,533",
    "Musical_Instruments": "10,261",
    "Office_Products": "53,258",
    "Patio_Lawn_and_Garden": "13,272",
    "Pet_Supplies": "157,836",
    "Sports_and_Outdoors": "296,337",
    "Tools_and_Home_Improvement": "134,476",
    "Toys_and_Games": "167,597",
    "Video_Games": "231,780",
}

# Reviews, items: all of them, no core.
_AMAZON_2023 = {
    "All_Beauty": ("701.5K", "112.6K"),
    "Amazon_Fashion": ("2.5M", "825.9K"),
    "Appliances": ("2.1M", "94.3K"),
    "Arts_Crafts_and_Sewing": ("9.0M", "801.3K"),
    "Automotive": ("20.0M", "2.0M"),
    "Baby_Products": ("6.0M", "217.7K"),
    "Beauty_and_Personal_Care": ("23.9M", "1.0M"),
    "Books": ("29.5M", "4.4M"),
    "CDs_and_Vinyl": ("4.8M", "701.7K"),
    "Cell_Phones_and_Accessories": ("20.8M", "1.3M"),
    "Clothing_Shoes_and_Jewelry": ("66.0M", "7.2M"),
    "Digital_Music": ("130.4K", "70.5K"),
    "Electronics": ("43.9M", "1.6M"),
    "Gift_Cards": ("152.4K", "1.1K"),
    "Grocery_and_Gourmet_Food": ("14.3M", "603.2K"),
    "Handmade_Products": ("664.2K", "164.7K"),
    "Health_and_Household": ("25.6M", "797.4K"),
    "Health_and_Personal_Care": ("494.1K", "60.3K"),
    "Home_and_Kitchen": ("67.4M", "3.7M"),
    "Industrial_and_Scientific": ("5.2M", "427.5K"),
    "Kindle_Store": ("25.6M", "1.6M"),
    "Magazine_Subscriptions": ("71.5K", "3.4K"),
    "Movies_and_TV": ("17.3M", "747.8K"),
    "Musical_Instruments": ("3.0M", "213.6K"),
    "Office_Products": ("12.8M", "710.4K"),
    "Patio_Lawn_and_Garden": ("16.5M", "851.7K"),
    "Pet_Supplies": ("16.8M", "492.7K"),
    "Software": ("4.9M", "89.2K"),
    "Sports_and_Outdoors": ("19.6M", "1.6M"),
    "Subscription_Boxes": ("16.2K", "641"),
    "Tools_and_Home_Improvement": ("27.0M", "1.5M"),
    "Toys_and_Games": ("16.3M", "890.7K"),
    "Unknown": ("63.8M", "13.2M"),
    "Video_Games": ("4.6M", "137.2K"),
}


@dataclass(frozen=True)
class Source:
    """One public data set.

    `files` are paths under the publisher's base address; a `.zip` is unpacked, a `.gz` stays packed.
    `has_md5`: the publisher keeps `<file>.md5` beside each file. `page` tells terms and citation.
    """

    name: str
    publisher: str
    files: tuple[str, ...]
    about: str
    page: str
    has_md5: bool = False


def sources() -> dict[str, Source]:
    """All known data sets by name."""
    found = [
        Source(
            name,
            "movielens",
            (f"{name}.zip",),
            about,
            f"https://grouplens.org/datasets/movielens/{page}/",
            True,
        )
        for name, (about, page) in _MOVIELENS.items()
    ]
    found += [
        Source(
            f"amazon2014-{category}",
            "amazon2014",
            (f"reviews_{category}_5.json.gz", f"meta_{category}.json.gz"),
            f"{reviews} reviews, 5-core, with titles, 1996 to 2014",
            "https://jmcauley.ucsd.edu/data/amazon/",
        )
        for category, reviews in _AMAZON_2014.items()
    ]
    found += [
        Source(
            f"amazon2023-{category}",
            "amazon2023",
            (f"review_categories/{category}.jsonl.gz", f"meta_categories/meta_{category}.jsonl.gz"),
            f"{reviews} reviews of {items} items, with titles, 1996 to 2023",
            "https://amazon-reviews-2023.github.io/",
        )
        for category, (reviews, items) in _AMAZON_2023.items()
    ]
    return {source.name: source for source in found}
