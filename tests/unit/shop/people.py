"""Customers for tests."""

from __future__ import annotations

from shop.cards import Brand
from shop.customers import Address, AddressType, Card, CardType, Contact, Customer, Name

JOHN = Customer(
    name=Name("John", "Doe", title="Mr.", middle_name="S.", suffix="Jr."),
    contact=Contact("555-666-7777", "555-444-9898", "john.doe@example.com"),
    addresses=(Address(AddressType.BILLING, "123 Oak Street", "Sunrise", "CA", "12345-6789", "home"),),
    cards=(Card(CardType.PRIMARY, Brand.VISA, "1111", "6/19", "John S. Doe"),),
)
MARY = Customer(Name("Mary", "Smith"), Contact(email="mary@example.com"))
