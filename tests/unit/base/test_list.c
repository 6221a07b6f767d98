#include "base/list.h"

#include "tests/support/cmocka.h"

struct item {
    int number;
    struct lc_list link;
};

static int sum_in_order(struct lc_list *list)
{
    int digits = 0;

    LC_LIST_EACH (at, list)
        digits = digits * 10 + LC_CONTAINER(at, struct item, link)->number;
    return digits;
}

static void members_keep_their_order(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    struct lc_list list;

    lc_list_init(&list);
    assert_true(lc_list_is_empty(&list));
    assert_null(LC_LIST_FIRST(&list, struct item, link));
    lc_list_append(&list, &a.link);
    lc_list_append(&list, &b.link);
    lc_list_append(&list, &c.link);
    assert_int_equal(sum_in_order(&list), 123);
    assert_ptr_equal(LC_LIST_FIRST(&list, struct item, link), &a);
}

static void a_member_leaves_from_any_place(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    struct lc_list list;

    lc_list_init(&list);
    lc_list_append(&list, &a.link);
    lc_list_append(&list, &b.link);
    lc_list_append(&list, &c.link);
    lc_list_remove(&b.link);
    assert_int_equal(sum_in_order(&list), 13);
    lc_list_remove(&a.link);
    lc_list_remove(&c.link);
    assert_true(lc_list_is_empty(&list));
}

static void removing_twice_does_no_harm(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2};
    struct lc_list list;

    lc_list_init(&list);
    lc_list_append(&list, &a.link);
    lc_list_append(&list, &b.link);
    lc_list_remove(&a.link);
    lc_list_remove(&a.link);
    assert_int_equal(sum_in_order(&list), 2);
}

static void the_member_at_hand_may_be_removed_while_walking(void **state)
{
    struct item items[4];
    struct lc_list list;

    lc_list_init(&list);
    for (int i = 0; i < 4; i++) {
        items[i].number = i + 1;
        lc_list_append(&list, &items[i].link);
    }
    LC_LIST_EACH_SAFE (at, &list)
        if (LC_CONTAINER(at, struct item, link)->number % 2 == 0)
            lc_list_remove(at);
    assert_int_equal(sum_in_order(&list), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_their_order),
        cmocka_unit_test(a_member_leaves_from_any_place),
        cmocka_unit_test(removing_twice_does_no_harm),
        cmocka_unit_test(the_member_at_hand_may_be_removed_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
